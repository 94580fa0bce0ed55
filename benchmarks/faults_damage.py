"""Flipped bits: every kind of file that the workspace keeps, read by the commands that read it.

A loss is a wrong answer without a word: what is damaged must be passed over, made again, or named.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from faults_kills import differs, finish, trained
from faults_room import Room, Row, command, contents, forked, sweep, wrong
from numpy.typing import NDArray

from probe import formats
from probe.jobs import worker
from probe.prompt import SoftPrompt
from probe.store import Workspace

_BITS = 3


def flip_files(room: Room, tries: int) -> list[Row]:
    """Damage of each kind of file."""
    return [
        _flipped(room, "stored vectors", tries, "prompts/*@*/*.safetensors", _is_named),
        _flipped(room, "cards", tries, "prompts/*@*/card.json", _is_named),
        _flipped(room, "evaluations", tries, "prompts/*@*/evaluations.jsonl", _is_named),
        _flipped(room, "digests", tries, "prompts/*@*/SHA256SUMS", _is_named),
        _flipped(room, "runs", tries, "runs/*/*.json*", _is_harmless),
        _flipped(room, "the index", tries, "library.sqlite", _heals),
        _flip_log(room, tries),
        _flip_cache(room, tries),
        _flip_checkpoints(room, tries),
        _flip_kept(room, max(1, tries // 4)),
    ]


def _flipped(
    room: Room,
    what: str,
    tries: int,
    pattern: str,
    judge: Callable[[Path, Path, Row], None],
) -> Row:
    row = Row(f"flipped bits: {what}")
    for _ in range(tries):
        row.tries += 1
        home = room.copy()
        Workspace(home).list()  # the index of a copy is up to its files
        path = room.rng.choice(sorted(home.glob(pattern)))
        damage(room, path)
        judge(home, path, row)
        row.left += sweep(home)
        room.drop(home)
    return row


def damage(room: Room, path: Path) -> None:
    """Flip bits as a disk does: the file's date stays."""
    data, before = bytearray(path.read_bytes()), path.stat()
    for _ in range(_BITS):
        data[room.rng.randrange(len(data))] ^= 1 << room.rng.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _is_named(home: Path, path: Path, row: Row) -> None:
    """The doctor names the damage, reading hides no other prompt, and the prompt can go."""
    id_ = path.parent.name
    others = set(contents(home)) - {id_}
    if not any(id_ in problem for problem in Workspace(home).problems()):
        row.losses.append(f"the doctor does not see {path.name} of {id_}")
    for arguments in (["library"], ["inspect", id_], ["library", "remove", id_, "--yes"]):
        row.foreign += command(home, *arguments).foreign
    if set(contents(home)) != others or wrong(home):
        row.losses.append(f"{id_} could not be removed, or took others along: {wrong(home)}")


def _is_harmless(home: Path, path: Path, row: Row) -> None:
    """Runs can still be listed and deleted, and no prompt suffers."""
    for arguments in (["runs"], ["runs", "show", "mine"], ["library"]):
        row.foreign += command(home, *arguments).foreign
    row.foreign += command(home, "runs", "delete", path.parent.name, "--yes").foreign
    if path.parent.exists():
        row.losses.append("the run cannot be deleted")
    row.losses += wrong(home)


def _heals(home: Path, _: Path, row: Row) -> None:
    """Everything is listed all the same, and made anew the index is whole."""
    ids = set(contents(home))
    listed = command(home, "library", "--json")
    row.foreign += listed.foreign
    missing = [id_ for id_ in ids if f'"{id_}"' not in listed.out]
    if missing or listed.out.count('"note": "kept"') < 2:
        row.losses.append(f"not listed as it was: {missing} {listed.err.strip()}")
    row.foreign += command(home, "library", "tag", "mine", "x").foreign
    row.foreign += command(home, "doctor", "--rebuild").foreign
    row.losses += wrong(home)


def _flip_log(room: Room, tries: int) -> Row:
    row = Row("flipped bits: the index's -wal")
    for _ in range(tries):
        row.tries += 1
        home = room.copy()
        workspace = Workspace(home)
        reader = sqlite3.connect(workspace.index.path)  # SQLite keeps the log while it is read
        reader.execute("SELECT count(*) FROM prompts").fetchone()
        workspace.tag("mine", "logged")
        workspace.annotate("sst2-text@1", "logged")
        log = home / "library.sqlite-wal"
        data = log.read_bytes()
        reader.close()
        log.write_bytes(data)
        damage(room, log)
        listed = command(home, "library", "--json")
        row.foreign += listed.foreign
        if listed.out.count("logged") != 2:
            row.losses.append(f"tags or notes are gone: {listed.err}")
        row.losses += wrong(home)
        row.left += sweep(home)
        room.drop(home)
    return row


def _flip_cache(room: Room, tries: int) -> Row:
    row = Row("flipped bits: kept controls and maps")
    mapping = ["map", "sst2-text@1", "--method", "tsne", "--background", "60", "--json"]
    asked = (["decode", "sst2-text@1", "--json"], mapping)
    home = room.copy()
    rightly = [command(home, *arguments).out for arguments in asked]
    for _ in range(tries):
        row.tries += 1
        damage(room, room.rng.choice(sorted((home / "cache").glob("*.npz"))))
        number = room.rng.randrange(len(asked))
        found = command(home, *asked[number])
        row.foreign += found.foreign
        if found.out != rightly[number]:
            row.losses.append(f"{asked[number][0]} answers otherwise")
    row.left += sweep(home)
    room.drop(home)
    return row


def _flip_checkpoints(room: Room, tries: int) -> Row:
    row = Row("flipped bits: checkpoints, resumed")
    home = room.copy()
    asked = room.asked(home)
    whole = forked(lambda: worker.main([str(asked.path)]), home)
    expected = trained(asked)
    while row.tries < tries:
        run = room.asked(home)
        moment_s = room.rng.uniform(0.2, 1) * whole.seconds
        forked(partial(worker.main, [str(run.path)]), home, kill_s=moment_s)
        kept = sorted(run.path.glob("checkpoints/step-*"))
        if len(kept) < 2 or run.status.state == "finished":
            continue  # with one alone there is nothing to go on from
        row.tries += 1
        damage(room, room.rng.choice(sorted(kept[-1].iterdir())))
        row.foreign += finish(run, home)
        row.losses += differs(expected, run)
    row.losses += wrong(home)
    row.left += sweep(home)
    room.drop(home)
    return row


def _flip_kept(room: Room, tries: int) -> Row:
    row = Row("flipped bits: kept results of a study")
    home = room.copy()
    arguments = ["sweep", str(room.grid)]
    command(home, *arguments)
    places = sorted((home / "cache" / "studies").glob("*.safetensors"))
    rightly = [_rows(path) for path in places]
    for _ in range(tries):
        row.tries += 1
        number = room.rng.randrange(len(places))
        damage(room, places[number])
        row.foreign += command(home, *arguments).foreign
        # In another pack the same run may differ in the last bit.
        if not np.allclose(_rows(places[number]), rightly[number], rtol=0, atol=1e-6):
            row.losses.append("a damaged result was taken for a good one")
        row.losses += wrong(home)
    row.left += sweep(home)
    room.drop(home)
    return row


def _rows(path: Path) -> NDArray[np.float32]:
    (prompt,) = formats.load(path)
    assert isinstance(prompt, SoftPrompt)
    return prompt.embeddings
