"""Cold start: commands until they have something to show, against `import torch`, as ratios.

Each command is a fresh process; a round gets an empty workspace, so in it the first `decode`
computes its controls and, of `smollm2`, undoes the quantisation of the table. `train` is timed
until it has written its first step. Runs are interleaved, so that whatever else the machine does
meets all alike.
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

BASELINE, HELP, DECODE = "import torch", "probe --help", "probe decode"
AGAIN, TRAIN, TRAIN_AGAIN = (
    "the same again",
    "probe train, to its first step",
    "the same train again",
)
LIMITS = {"builtin": {HELP: 0.3, DECODE: 1.0}, "smollm2": dict[str, float]()}
PROMPTS = {"builtin": "opinion-vocab", "smollm2": "smollm2-sst2-vocab"}
_PROBE = str(Path(sys.executable).with_name("probe"))


def main() -> None:
    """Run every command in turn, several rounds, and compare medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=tuple(PROMPTS), default=["builtin"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    for model in args.parts:
        _round(model)  # only warms the file cache
        rounds = [_round(model) for _ in range(args.rounds)]
        publish(
            "cold_start",
            "Cold start, one run",
            _report(model, {name: [one[name] for one in rounds] for name in rounds[0]}),
            "torch",
            "numpy",
            "typer",
            write=args.write,
            part="" if model == "builtin" else model,
        )


def _round(model: str) -> dict[str, float]:
    """Seconds of every command, each after the other in one new workspace."""
    decode = [_PROBE, "decode", PROMPTS[model]]
    with tempfile.TemporaryDirectory() as home:
        seconds = {
            BASELINE: _run([sys.executable, "-c", "import torch"], home),
            HELP: _run([_PROBE, "--help"], home),
            DECODE: _run(decode, home),
            AGAIN: _run(decode, home),
        }
        if model != "builtin":
            seconds |= {name: _first_step(model, home) for name in (TRAIN, TRAIN_AGAIN)}
    return seconds


def _run(command: list[str], home: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=_environment(home), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _first_step(model: str, home: str) -> float:
    """Seconds until one more run of this workspace has logged a step; waits for its end."""
    command = [_PROBE, "train", "--task", "mood", "--model", model, "--steps", "1"]
    command += ["--eval-every", "0", "--test-examples", "0"]
    before = _logged(home)
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        env=_environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while _logged(home) == before:
            if process.poll():
                raise SystemExit(f"{' '.join(command)} failed: run it by hand")
            time.sleep(0.01)
        return time.perf_counter() - start


def _logged(home: str) -> int:
    logs = Path(home).glob("runs/*/metrics.jsonl")
    return sum(log.stat().st_size > 0 for log in logs)


def _environment(home: str) -> dict[str, str]:
    return os.environ | {"PROBE_HOME": home, "PYTHONDONTWRITEBYTECODE": ""}


def _report(model: str, seconds: dict[str, list[float]]) -> str:
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    rows = []
    for name, times in seconds.items():
        ratio, limit = medians[name] / medians[BASELINE], LIMITS[model].get(name)
        verdict = "" if limit is None else f"≤ {limit} {'yes' if ratio <= limit else 'NO'}"
        spread = f"{min(times):.2f} to {max(times):.2f}"
        rows.append((name, f"{medians[name]:.2f}", spread, f"{ratio:.2f}", verdict))
    header = ("command", "median s", "range s", "ratio to import torch", "wanted")
    rounds = len(seconds[BASELINE])
    note = (
        f"{rounds} rounds after one to warm the file cache, each in an empty workspace. "
        f"`probe decode {PROMPTS[model]}`: every position on `{model}`, controls included."
    )
    if model != "builtin":
        note += " `probe train --task mood`: one update of 16 examples, what is recommended."
    return f"{table(header, rows)}\n\n{note}"


if __name__ == "__main__":
    main()
