"""Kills at random moments: of every command that writes, of trainings and of studies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from faults_room import STEPS, Room, Row, command, contents, forked, lost, sweep, wrong

from probe import formats
from probe.jobs import observe, worker
from probe.prompt import SoftPrompt
from probe.store import JobFolder, Workspace, read_records

_OUTLIVE_S = 900.0


@dataclass(frozen=True)
class Case:
    """A command to kill."""

    name: str
    arguments: Callable[[Room, Path], list[str]]
    done: Callable[[Path], bool]
    """Whether a workspace, or what lies beside it, shows the whole effect."""
    none: Callable[[Path], bool]
    """Whether it shows nothing of it: there is no third."""
    touches: Sequence[str] = ()
    """Prompts that may be gone afterwards."""


def _card(home: Path, id_: str) -> dict[str, object]:
    document: dict[str, object] = json.loads((home / "prompts" / id_ / "card.json").read_text())
    return document


def _records(home: Path) -> int:
    return len(Workspace(home).prompts.history("mine@1"))


def _loads(home: Path) -> bool:
    made = home.parent / "out" / "made"
    return made.exists() and len(formats.load(made)) == 1


def _ends(name: str, with_: str) -> Callable[[Path], bool]:
    def check(home: Path) -> bool:
        path = home.parent / "out" / name
        return path.exists() and path.read_text().rstrip().endswith(with_)

    return check


def _absent(name: str) -> Callable[[Path], bool]:
    return lambda home: not (home.parent / "out" / name).exists()


CASES = (
    Case("library add", lambda _, __: ["library", "add", "trec-text", "--tag", "new"],
         lambda home: "trec-text@1" in contents(home),
         lambda home: "trec-text@1" not in contents(home)),
    Case("library tag", lambda _, __: ["library", "tag", "sst2-text@1", "new"],
         lambda home: _card(home, "sst2-text@1")["tags"] == ["film", "new"],
         lambda home: _card(home, "sst2-text@1")["tags"] == ["film"]),
    Case("library untag", lambda _, __: ["library", "untag", "sst2-text@1", "film"],
         lambda home: _card(home, "sst2-text@1")["tags"] == [],
         lambda home: _card(home, "sst2-text@1")["tags"] == ["film"]),
    Case("library note", lambda _, __: ["library", "note", "sst2-text@1", "heard"],
         lambda home: _card(home, "sst2-text@1")["note"] == "heard",
         lambda home: _card(home, "sst2-text@1")["note"] == "kept"),
    Case("library remove", lambda _, __: ["library", "remove", "sst2-text@2", "--yes"],
         lambda home: not (home / "prompts" / "sst2-text@2").exists(),
         lambda home: "sst2-text@2" in contents(home), ("sst2-text@2",)),
    Case("evaluate --record",
         lambda room, _: ["evaluate", "mine", "--task", str(room.task), "--record"],
         lambda home: _records(home) == 2, lambda home: _records(home) == 1),
    Case("convert --to peft",
         lambda _, home: ["convert", "sst2-text@1", f"{home.parent}/out/made", "--to", "peft"],
         _loads, _absent("made")),
    Case("report",
         lambda _, home: ["report", "sst2-text@1", "-o", f"{home.parent}/out/report.html"],
         _ends("report.html", "</html>"), _absent("report.html")),
    Case("decode --html",
         lambda _, home: ["decode", "sst2-text@1", "--html", f"{home.parent}/out/decoded.html"],
         _ends("decoded.html", "</html>"), _absent("decoded.html")),
    Case("runs delete", lambda _, __: ["runs", "delete", "mine", "--yes"],
         lambda home: Workspace(home).runs.ids() == [],
         lambda home: _finished(home)),
)  # fmt: skip


def _finished(home: Path) -> bool:
    (run,) = Workspace(home).runs
    return observe(run)[1] == "finished"


def kill_commands(room: Room, tries: int) -> list[Row]:
    """Kill every writing command, look, and do it again."""
    return [_killed(room, case, tries) for case in CASES]


def _killed(room: Room, case: Case, tries: int) -> Row:
    row = Row(f"kill: {case.name}")
    home = room.copy()
    whole = command(home, *case.arguments(room, home))
    row.foreign += whole.foreign
    room.drop(home)
    for _ in range(tries):
        row.tries += 1
        home = room.copy()
        before = contents(home)
        command(home, *case.arguments(room, home), kill_s=room.rng.uniform(0, whole.seconds))
        if not (case.done(home) or case.none(home)):
            row.losses.append("half of it is there")
        row.losses += [*lost(before, home, case.touches), *wrong(home)]
        if not case.done(home):
            again = command(home, *case.arguments(room, home))
            row.foreign += again.foreign
            row.losses += [] if case.done(home) else [f"not done the second time: {again.err}"]
        row.left += sweep(home, home.parent / "out")
        room.drop(home)
    return row


def kill_studies(room: Room, tries: int) -> list[Row]:
    """Kill studies again and again until they are through; their results are those of one go."""
    wayward = ["wayward", "--task", str(room.task), "--model", str(room.model), "--init", "vocab",
               "--targets", "text:the film was good", "--gamma", "0.1", "--seeds", "1",
               "--steps", str(STEPS)]  # fmt: skip
    return [_killed_study(room, ["sweep", str(room.grid)], tries),
            _killed_study(room, wayward, tries)]  # fmt: skip


def _killed_study(room: Room, arguments: list[str], tries: int) -> Row:
    row = Row(f"kill: {arguments[0]}, resumed")
    home = room.copy()
    whole = command(home, *arguments)
    row.foreign += whole.foreign
    expected = _study_results(home)
    room.drop(home)
    home = room.copy()
    for _ in range(tries):
        row.tries += 1
        ended = command(home, *arguments, kill_s=room.rng.uniform(0, 1.1 * whole.seconds))
        row.foreign += ended.foreign
        row.losses += wrong(home)
        if ended.code == 0:
            row.losses += _compared(expected, home)
            row.left += _study_litter(home)
            room.drop(home)
            home = room.copy()
    row.foreign += command(home, *arguments).foreign
    row.losses += _compared(expected, home)
    row.left += _study_litter(home)
    room.drop(home)
    return row


def _study_litter(home: Path) -> list[str]:
    unfinished = (home / "cache" / "studies" / "unfinished").glob("*")
    return sweep(home) + [str(path) for path in unfinished]


def _study_results(home: Path) -> pd.DataFrame:
    (results,) = (home / "studies").glob("*/results.parquet")
    frame = pd.read_parquet(results)
    vary = [name for name in frame if str(name).endswith(("_s", "_per_s")) or name == "prompt"]
    return frame.drop(columns=vary)


def _compared(expected: pd.DataFrame, home: Path) -> list[str]:
    found = _study_results(home)
    return [] if found.equals(expected) else ["its results differ from those of one go"]


def kill_trainings(room: Room, runs: int, kills: int) -> Row:
    """Kill trainings and resume them; rows and curve are those of one that nobody killed."""
    row = Row(f"kill: training, {kills} times each, resumed")
    home = room.copy()
    asked = room.asked(home)
    whole = forked(lambda: worker.main([str(asked.path)]), home)
    expected = trained(asked)
    room.drop(home)
    for _ in range(runs):
        home = room.copy()
        run = room.asked(home)
        for _ in range(kills):
            row.tries += 1
            ended = forked(
                partial(worker.main, [str(run.path)]), home,
                kill_s=room.rng.uniform(0, 1.05 * whole.seconds),
            )  # fmt: skip
            row.foreign += ended.foreign
        row.foreign += finish(run, home)
        row.losses += [*differs(expected, run), *wrong(home)]
        row.left += sweep(home)
        room.drop(home)
    return row


def finish(run: JobFolder, home: Path) -> list[str]:
    """Let a run come to its end, however often it was ended; what it said amiss."""
    ended = forked(lambda: worker.main([str(run.path)]), home)
    return ended.foreign


def trained(run: JobFolder) -> tuple[bytes, list[tuple[int, float]]]:
    """The rows of a finished run's prompt, and its losses."""
    (id_,) = run.status.prompts
    prompt = Workspace(run.path.parents[1]).get(id_)
    records = read_records(run.metrics)[0]
    assert isinstance(prompt, SoftPrompt)
    rows = np.asarray(prompt.embeddings).tobytes()
    return rows, [(record["step"], record["loss_nats"]) for record in records]


def differs(expected: tuple[bytes, list[tuple[int, float]]], run: JobFolder) -> list[str]:
    """What of a run is not as it would have been."""
    status = run.status
    if status.state != "finished":
        return [f"{run.id} is {status.state}: {status.message}"]
    rows, losses = trained(run)
    found = [] if rows == expected[0] else ["its rows differ"]
    return found if losses == expected[1] else [*found, "its curve differs"]


def end_starters(room: Room) -> Row:
    """End whoever started a training, as a dashboard does, in every way: the training goes on."""
    row = Row("signals to whoever started a training")
    home = room.copy()
    program = (
        "import sys, time; from probe.jobs import start; from probe.store import *\n"
        "w = Workspace(sys.argv[1]); start(w, w.runs.get(sys.argv[2]).config)\n"
        "print('started', flush=True); time.sleep(600)"
    )
    template = room.asked(home)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL):
        row.tries += 1
        before = set(Workspace(home).runs.ids())
        arguments = [sys.executable, "-c", program, str(home), template.id]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              start_new_session=True) as starter:  # fmt: skip
            assert starter.stdout is not None
            starter.stdout.readline()
            os.killpg(starter.pid, number)
        (new,) = set(Workspace(home).runs.ids()) - before
        row.losses += _outlives(Workspace(home).runs.get(new))
    room.drop(home)
    return row


def _outlives(run: JobFolder) -> list[str]:
    until = time.monotonic() + _OUTLIVE_S
    while observe(run)[1] in ("queued", "running") and time.monotonic() < until:
        time.sleep(0.05)
    state = observe(run)[1]
    return [] if state == "finished" else [f"{run.id} is {state}: {run.status.message}"]
