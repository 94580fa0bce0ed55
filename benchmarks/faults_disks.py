"""Disks that are full, and workspaces that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from faults_kills import CASES, Case, differs, finish, trained
from faults_room import Outcome, Room, Row, command, contents, forked, litter, lost, sweep, wrong

from probe.jobs import observe, worker

_DISK = "24m"
_NO_MOUNT = "skipped: no file system may be mounted here"
READERS = (
    ["library"], ["library", "search", "film"], ["library", "log", "sst2-text"], ["runs"],
    ["find", "␣great", "sst2-text@1"], ["decode", "sst2-text@1"], ["inspect", "mine"],
    ["compare", "sst2-text@1", "sst2-text@2"], ["clusters", "sst2-text@1", "sst2-text@2"],
)  # fmt: skip


def fill_disks(room: Room, tries: int) -> list[Row]:
    """Every writing command on a disk with a little space or none; then with space again."""
    return [_filled(room, case, tries) for case in CASES]


def _filled(room: Room, case: Case, tries: int) -> Row:
    row = Row(f"full disk: {case.name}")
    for number in range(tries):
        with _small_disk(room) as home:
            if home is None:
                row.skipped = _NO_MOUNT
                return row
            row.tries += 1
            before = contents(home)
            spare = 0 if number == 0 else room.rng.randrange(4096, 200_000)
            ballast = _fill(home.parent, spare)
            ended = command(home, *case.arguments(room, home))
            row.foreign += ended.foreign + _unexplained(ended)
            row.left += litter(home, home.parent / "out")
            deletes = case.name in ("library remove", "runs delete")
            if not (case.done(home) if ended.code == 0 or deletes else _either(case, home)):
                row.losses.append(f"half of it is there: {ended.err}")
            row.losses += lost(before, home, case.touches)
            ballast.unlink()
            row.losses += wrong(home)
            if not case.done(home):
                row.foreign += command(home, *case.arguments(room, home)).foreign
                row.losses += [] if case.done(home) else ["not done with space again"]
    return row


def fill_trainings(room: Room, tries: int) -> Row:
    """Trainings that meet a full disk, and go on when there is space."""
    row = Row("full disk: training, resumed")
    whole = room.copy()
    asked = room.asked(whole)
    forked(lambda: worker.main([str(asked.path)]), whole)
    expected = trained(asked)
    room.drop(whole)
    for _ in range(tries):
        with _small_disk(room) as home:
            if home is None:
                row.skipped = _NO_MOUNT
                return row
            row.tries += 1
            run = room.asked(home)
            ballast = _fill(home.parent, room.rng.randrange(0, 150_000))
            ended = forked(partial(worker.main, [str(run.path)]), home)
            row.foreign += ended.foreign
            status, state = observe(run)
            if state != "finished" and not status.message.startswith("disk full at"):
                row.foreign.append(f"a training on a full disk is {state}: {status.message!r}")
            row.left += litter(home)
            ballast.unlink()
            if state != "finished":
                row.foreign += finish(run, home)
            row.losses += [*differs(expected, run), *wrong(home)]
    return row


def read_only(room: Room) -> list[Row]:
    """Commands that read, and commands that write, where nothing can be written."""
    reading, writing = Row("read-only workspace: reading"), Row("read-only workspace: writing")
    home = room.copy()
    before = contents(home)
    with _unwritable(home) as done:
        if not done:
            reading.skipped = writing.skipped = _NO_MOUNT
            return [reading, writing]
        for arguments in READERS:
            reading.tries += 1
            ended = command(home, *arguments)
            reading.foreign += ended.foreign
            if ended.code:
                reading.losses.append(f"{' '.join(arguments)}: {ended.err.strip()}")
        for case in CASES:
            if not case.name.startswith(("library", "evaluate", "runs")):
                continue
            writing.tries += 1
            ended = command(home, *case.arguments(room, home))
            writing.foreign += ended.foreign
            if ended.code != 1 or "--rebuild" in ended.err:
                writing.foreign.append(f"{case.name}: {ended.code} {ended.err.strip()}")
        writing.losses += lost(before, home)
    writing.losses += wrong(home)
    writing.left += sweep(home)
    room.drop(home)
    return [reading, writing]


def _either(case: Case, home: Path) -> bool:
    return case.done(home) or case.none(home)


def _unexplained(ended: Outcome) -> list[str]:
    """A refusal on a full disk that does not say so."""
    words = ("disk full", "cannot be written", "No space left", "disk is full")
    told = ended.code == 0 or any(word in ended.err for word in words)
    return [] if told else [f"{' '.join(ended.arguments)}: {ended.err.strip()[:200]}"]


def _fill(disk: Path, spare: int) -> Path:
    """Take all space but so many bytes."""
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    with ballast.open("wb", buffering=0) as file:
        left = free - spare
        try:
            while left > 0:
                left -= file.write(b"x" * min(left, 1 << 16))
        except OSError:
            pass  # the rest is the file's own bookkeeping
    return ballast


@contextmanager
def _small_disk(room: Room) -> Iterator[Path | None]:
    """A copy of the workspace on a disk of its own; None where none may be mounted."""
    source = room.copy()
    place = room.folder / "disk"
    place.mkdir(exist_ok=True)
    if _mount("-t", "tmpfs", "-o", f"size={_DISK}", "none", place):
        yield None
        return
    try:
        shutil.copytree(source.parent, place, dirs_exist_ok=True)
        yield place / "home"
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
        room.drop(source)


@contextmanager
def _unwritable(home: Path) -> Iterator[bool]:
    if os.geteuid():  # root alone writes whatever the modes say
        modes = {path: path.stat().st_mode for path in [home, *home.rglob("*")]}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        yield True
        for path, mode in modes.items():
            path.chmod(mode)
        return
    if _mount("--bind", home, home):
        yield False
        return
    try:
        yield not _mount("-o", "remount,ro,bind", home)
    finally:
        subprocess.run(["umount", "--lazy", home], check=True)


def _mount(*arguments: object) -> int:
    command = ["mount", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False).returncode
