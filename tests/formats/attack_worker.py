"""Loads every path named on standard input and reports what each took, as JSON lines."""

from __future__ import annotations

import json
import sys
import time

from probe.errors import PromptFormatError
from probe.formats import load


def peak_bytes() -> int:
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def outcome(path: str) -> tuple[str, str]:
    try:
        found = load(path)
    except PromptFormatError as error:
        return "refused", str(error)
    except BaseException as error:
        return type(error).__name__, str(error)[:200]
    return "read", str(found)[:200]


def main() -> None:
    forget_peak()
    idle = peak_bytes()
    for line in sys.stdin:
        path = json.loads(line)
        forget_peak()
        start = time.process_time()
        kind, message = outcome(path)
        seconds = time.process_time() - start
        growth = peak_bytes() - idle
        sys.stdout.write(json.dumps([kind, message, seconds, growth]) + "\n")
        sys.stdout.flush()


main()
