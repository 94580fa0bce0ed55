"""Cold start: `probe --help` and `probe decode` against `import torch`, in one run, as ratios.

Each command is a fresh process; `decode` gets an empty workspace every time, so its controls are
computed, not read. Runs are interleaved, so that whatever else the machine does meets all alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import publish, table

LIMITS = {"probe --help": 0.3, "probe decode": 1.0}
BASELINE = "import torch"
PROMPT = "sst2-vocab"  # 20 tokens on the built-in model


def main() -> None:
    """Run every command in turn, several rounds, and compare medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    commands = _commands()
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(-1, args.rounds):
        for name, command in commands.items():
            took_s = _run(command)
            if round_ >= 0:  # the first round only warms the file cache
                seconds[name].append(took_s)
    publish(
        "cold_start",
        "Cold start, one run",
        _report(seconds),
        "torch",
        "numpy",
        "typer",
        write=args.write,
    )


def _commands() -> dict[str, list[str]]:
    probe = str(Path(sys.executable).with_name("probe"))
    return {
        BASELINE: [sys.executable, "-c", "import torch"],
        "probe --help": [probe, "--help"],
        "probe decode": [probe, "decode", PROMPT],
    }


def _run(command: list[str]) -> float:
    with tempfile.TemporaryDirectory() as home:
        start = time.perf_counter()
        subprocess.run(
            command,
            env=os.environ | {"PROBE_HOME": home},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - start


def _report(seconds: dict[str, list[float]]) -> str:
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    rows = []
    for name, times in seconds.items():
        ratio, limit = medians[name] / medians[BASELINE], LIMITS.get(name)
        verdict = "" if limit is None else f"≤ {limit} {'yes' if ratio <= limit else 'NO'}"
        spread = f"{min(times):.2f} to {max(times):.2f}"
        rows.append((name, f"{medians[name]:.2f}", spread, f"{ratio:.2f}", verdict))
    header = ("command", "median s", "range s", "ratio to import torch", "wanted")
    rounds = len(seconds[BASELINE])
    note = (
        f"{rounds} interleaved rounds after one to warm the file cache. `probe decode {PROMPT}`: "
        "20 positions on `builtin`, controls included, in an empty workspace."
    )
    return f"{table(header, rows)}\n\n{note}"


if __name__ == "__main__":
    main()
