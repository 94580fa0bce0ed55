"""Fuzz every reader: damaged files of all formats end in a prompt or in one clear error.

Every case is made from the seed and its number alone, so `--first N --cases 1` repeats case N.
A case fails when anything but `PromptFormatError` comes out, when its message has several lines,
when a prompt is not finite, when a warning is given, or when a smuggled command runs.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from fuzz_mutations import mutate
from fuzz_seeds import Seed, seeds
from report import publish, table

from probe.errors import PromptFormatError
from probe.formats import load
from probe.prompt import SoftPrompt


@dataclass
class Tally:
    """What became of the cases so far."""

    read: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    """Processor seconds, and the case."""
    largest: tuple[int, str] = (0, "")
    """Peak memory above what the process had before the case, in bytes."""


def main() -> None:
    """Run the cases, print the table, and fail when a case did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that write the seeds
        whole = seeds()
    warnings.simplefilter("error")
    tally = Tally()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.first, args.first + args.cases):
            run_case(number, args.seed, whole, Path(folder), tally)
    seconds = time.perf_counter() - start
    for failure in tally.failures[:10]:
        print(failure, file=sys.stderr)
    publish(
        "fuzz_formats",
        "Damaged files",
        _report(tally, args.seed, args.cases, seconds),
        "numpy",
        "torch",
        "peft",
        write=args.write,
    )
    sys.exit(1 if tally.failures else 0)


def run_case(number: int, seed: int, whole: dict[str, Seed], folder: Path, tally: Tally) -> None:
    """Damage one file of one seed and load it."""
    rng = random.Random(f"{seed}/{number}")
    name = rng.choice(list(whole))
    others = [data for files in whole.values() for data in files.values()]
    place = folder / "case"
    place.mkdir(exist_ok=True)
    chosen = rng.choice(list(whole[name]))
    for filename, data in whole[name].items():
        content = _damaged(data, rng, others) if filename == chosen else data
        (place / filename).write_bytes(content)
    target = place if len(whole[name]) > 1 else place / chosen
    what = f"case {number} ({name})"
    _forget_peak()
    before, started = _memory("VmRSS"), time.process_time()
    try:
        _load(target)
        tally.read[name] += 1
    except PromptFormatError as error:
        tally.refused[name] += 1
        if "\n" in str(error) or not str(error):
            tally.failures.append(f"{what}: no single line: {str(error)!r}")
    except Exception:
        tally.failures.append(f"{what}: {traceback.format_exc()}")
    tally.slowest = max(tally.slowest, (time.process_time() - started, what))
    tally.largest = max(tally.largest, (_memory("VmHWM") - before, what))
    if Path("CANARY()").exists():
        tally.failures.append(f"{what}: a command ran")
    for filename in whole[name]:
        (place / filename).unlink()


def _damaged(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the doubled names it is told to write
        return mutate(data, rng, others)


def _load(target: Path) -> None:
    """Load and look at every number."""
    for prompt in load(target):
        arrays = [prompt.embeddings] if isinstance(prompt, SoftPrompt) else [prompt.keys]
        if not all(np.isfinite(array).all() for array in arrays):
            raise AssertionError("a prompt that is not finite")


def _memory(field_name: str) -> int:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field_name))
    return int(line.split()[1]) * 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _report(tally: Tally, seed: int, cases: int, seconds: float) -> str:
    names = sorted({*tally.read, *tally.refused})
    lines = [[name, str(tally.read[name]), str(tally.refused[name])] for name in names]
    total = ["**all**", str(tally.read.total()), str(tally.refused.total())]
    return (
        f"{cases:,} cases, seed {seed}: {len(tally.failures)} failures. {cases / seconds:.0f} "
        f"cases/s. Slowest: {tally.slowest[0]:.2f} s of processor time, {tally.slowest[1]}. Most "
        f"memory above the process before the case: {tally.largest[0] / 1e6:.1f} MB, "
        f"{tally.largest[1]}.\n\n"
        + table(["file", "read all the same", "refused"], [*lines, total])
    )


if __name__ == "__main__":
    main()
