"""Does anything get lost? Kills, full disks, flipped bits, crowds and limits, all at random.

    python benchmarks/faults.py --tries 6 --seed 0 --write

What is looked for after every fault: losses (something that was there, or had been finished, is
gone, changed or wrongly listed; a result that is not byte for byte the one without the fault),
foreign errors (anything but one line that says what to do), and files left behind that the next
command of the kind, or `probe doctor`, does not sweep. Exits with 1 where there is any.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from faults_crowds import crowd, dashboards, too_little_memory
from faults_damage import flip_files
from faults_disks import fill_disks, fill_trainings, read_only
from faults_kills import end_starters, kill_commands, kill_studies, kill_trainings
from faults_room import Room, Row

RESULTS = Path(__file__).parent / "results" / "faults.md"
PARTS: dict[str, Callable[[Room, int], Sequence[Row]]] = {
    "commands": kill_commands,
    "trainings": lambda room, tries: [kill_trainings(room, max(1, tries // 2), 2 * tries)],
    "studies": lambda room, tries: kill_studies(room, 2 * tries),
    "starters": lambda room, _: [end_starters(room)],
    "disks": lambda room, tries: [*fill_disks(room, tries), fill_trainings(room, tries)],
    "read-only": lambda room, _: read_only(room),
    "damage": lambda room, tries: flip_files(room, 2 * tries),
    "crowds": lambda room, tries: crowd(room, 8, 2 * tries),
    "dashboards": lambda room, _: dashboards(room),
    "memory": too_little_memory,
}


def main() -> None:
    """Break what can be broken and print what came of it."""
    asked = _asked()
    logging.disable(logging.CRITICAL)  # what this process itself meets is in the table
    for number in (signal.SIGINT, signal.SIGHUP):  # a shell's `&` and nohup have them ignored
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-", dir=asked.folder) as folder:
        rows = list(_rows(Room(Path(folder), asked.seed), asked.only, asked.tries))
    table = _table(rows)
    sys.stdout.write(f"{table}\n")
    for row in rows:
        for what in (*row.losses, *row.foreign, *row.left):
            sys.stderr.write(f"{row.fault}: {what}\n")
    if asked.write:
        RESULTS.write_text(_page(table, asked, time.monotonic() - began), encoding="utf-8")
    sys.exit(not all(row.ok for row in rows))


def _rows(room: Room, only: Sequence[str], tries: int) -> Iterator[Row]:
    for name in only or PARTS:
        began = time.monotonic()
        yield from PARTS[name](room, tries)
        sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")


def _table(rows: Sequence[Row]) -> str:
    lines = ["| fault | tries | losses | foreign errors | left behind |", "|-|-:|-:|-:|-:|"]
    lines += [
        f"| {row.fault} | {row.skipped or row.tries} | {len(row.losses)} | {len(row.foreign)} | "
        f"{len(row.left)} |"
        for row in rows
    ]
    tries = sum(row.tries for row in rows)
    sums = (sum(len(getattr(row, name)) for row in rows) for name in ("losses", "foreign", "left"))
    return "\n".join([*lines, f"| **all** | {tries} | {' | '.join(map(str, sums))} |"])


def _page(table: str, asked: argparse.Namespace, seconds: float) -> str:
    return (
        "# What faults cost\n\n"
        "A workspace with prompts, a run and recorded evaluations, broken at random in copies "
        "(`benchmarks/faults.py` says what counts as what). Commands are forks of one process, so "
        "a kill falls on their own work; a kill is SIGKILL at a uniformly random moment, a "
        "flipped file has three flipped bits and its old date, a full disk is a small tmpfs, a "
        "read-only workspace a read-only mount.\n\n"
        f"{table}\n\n"
        f"`python benchmarks/faults.py --tries {asked.tries} --seed {asked.seed} --write`, "
        f"{seconds / 60:.0f} minutes on a machine with two cores and other work.\n"
    )


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=6, help="of each fault, or a multiple of it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=(), help="parts of it")
    parser.add_argument("--folder", type=Path, help="where to break things; else the system's own")
    parser.add_argument("--write", action="store_true", help=f"also write {RESULTS.name}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
