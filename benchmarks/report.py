"""What every benchmark prints: the machine, the date, the command and one table."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def machine(*libraries: str) -> str:
    """The processor, cores, Python and library versions the figures were measured on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    versions = ", ".join(f"{library} {version(library)}" for library in libraries)
    return f"{models[0]}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["-"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def publish(name: str, title: str, text: str, *libraries: str, write: bool, part: str = "") -> None:
    """Print a result and, when asked, keep it in `benchmarks/results/NAME.md`.

    A benchmark of several parts keeps each in a file of its own, `NAME_PART.md`.
    """
    command = shlex.join(["python", f"benchmarks/{name}.py", *sys.argv[1:]])
    today = datetime.datetime.now(tz=datetime.UTC).date()
    page = f"# {title}\n\n{today}; {machine(*libraries)}\n\n`{command}`\n\n{text}\n"
    print(page)
    if write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}{part and '_'}{part}.md").write_text(page)
