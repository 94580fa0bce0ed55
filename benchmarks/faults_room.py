"""What `faults.py` breaks: a workspace with a bit of everything, and commands that can be killed.

This process imports and loads once; every command is a fork of it, so that a kill falls on the
command's own work and not on the start of Python.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from probe import verbs
from probe.cli.main import run
from probe.digests import digest_of
from probe.jobs import worker
from probe.store import JobFolder, Status, Workspace, keep_file
from probe.tables import named_path

STEPS = 24
WORKER = ("worker",)
_LOCKS = {".turn", ".worker"}
_PATIENCE_S = 240.0


@dataclass
class Row:
    """One line of the table."""

    fault: str
    tries: int = 0
    losses: list[str] = field(default_factory=list)
    """What was there, or had been finished, and is gone, changed or wrongly listed."""
    foreign: list[str] = field(default_factory=list)
    """Errors that are not one line saying what to do."""
    left: list[str] = field(default_factory=list)
    """Files that nobody owns any more, after the next command of the kind or the doctor."""
    skipped: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.losses or self.foreign or self.left)


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    arguments: Sequence[str]
    code: int
    """As the shell has it; negative after a signal."""
    out: str
    err: str
    seconds: float

    @property
    def foreign(self) -> list[str]:
        """What it said that no user should have to read."""
        said = self.err + self.out
        last = (self.err.strip().splitlines() or [""])[-1]
        wrong = "Traceback" in said or "unexpected" in said or self.code not in (0, 1, -9, -15)
        silent = self.code == 1 and not last.startswith("probe: ") and not self.out
        wrong = wrong or (silent and self.arguments != WORKER)  # whose word is its status
        return [f"{' '.join(self.arguments)}: {self.code} {last[:200]}"] if wrong else []


class Room:
    """A folder with a model, a task, and a workspace to take copies of."""

    def __init__(self, folder: Path, seed: int) -> None:
        torch.set_num_threads(1)
        self.folder = folder
        self.rng = random.Random(seed)
        self.model, self.task = folder / "model", folder / "task"
        self.grid = folder / "grid.toml"
        self._copies = 0
        _make_model(self.model)
        _make_task(self.task)
        self.grid.write_text(
            f'models = ["{self.model}"]\ntasks = ["{self.task}"]\nseeds = 1\n'
            f"[training]\nsteps = {STEPS}\neval_every = 0\ncheckpoint_every = 3\n"
            "[grid]\nlength = [2, 3]\n"
        )
        self.home = folder / "home"
        self._fill()

    def copy(self) -> Path:
        """A fresh copy of the workspace."""
        self._copies += 1
        place = self.folder / f"copy-{self._copies}"
        shutil.copytree(self.home, place / "home")
        (place / "out").mkdir()
        return place / "home"

    def drop(self, home: Path) -> None:
        """Remove a copy."""
        shutil.rmtree(home.parent, ignore_errors=True)

    def asked(self, home: Path, **training: object) -> JobFolder:
        """A run's folder whose worker has not begun."""
        workspace = Workspace(home)
        settings = {"steps": STEPS, "length": 3, "batch_size": 4, "eval_every": 6,
                    "checkpoint_every": 2, "dropout": 0.1}  # fmt: skip
        config = verbs.run_config(
            str(self.model), str(self.task), settings | training, name="mine", device="cpu",
            workspace=workspace,
        )  # fmt: skip
        return workspace.runs.create(config, Status("queued", queued_at=time.time()))

    def _fill(self) -> None:
        workspace = Workspace(self.home)
        for tags in (["film"], []):
            verbs.add_to_library(["sst2-text"], tag=tags, note="kept", workspace=workspace)
        ended = forked(lambda: worker.main([str(self.asked(self.home).path)]), self.home)
        assert ended.code == 0, ended.err
        evaluate = ["evaluate", "mine", "--task", str(self.task), "--record"]
        ended = command(self.home, *evaluate)
        assert ended.code == 0, ended.err


def command(home: Path, *arguments: str, kill_s: float | None = None,
            memory: int | None = None) -> Outcome:  # fmt: skip
    """Run `probe` in a fork of this process.

    Args:
        home: the workspace.
        arguments: what follows `probe`.
        kill_s: when to send SIGKILL, if it still runs.
        memory: bytes it may take beyond what this process has.
    """
    return forked(lambda: run(list(arguments)), home, arguments, kill_s=kill_s, memory=memory)


def forked(
    act: Callable[[], object],
    home: Path,
    arguments: Sequence[str] = WORKER,
    *,
    kill_s: float | None = None,
    memory: int | None = None,
) -> Outcome:
    """Do something in a fork of this process, and maybe kill it."""
    said = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115  read, then closed
    began = time.monotonic()
    pid = os.fork()
    if not pid:
        _child(act, home, said, memory)
    until = began + (_PATIENCE_S if kill_s is None else kill_s)
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            ended = os.waitpid(pid, 0)
            break
        time.sleep(0.0005)
    out, err = map(_read, said)
    code = os.waitstatus_to_exitcode(ended[1])
    return Outcome(arguments, code, out, err, time.monotonic() - began)


def _read(file: BinaryIO) -> str:
    with file:
        file.seek(0)
        return file.read().decode(errors="replace")


def _child(
    act: Callable[[], object], home: Path, said: Sequence[BinaryIO], memory: int | None
) -> None:
    code = 99
    try:
        os.setsid()
        os.environ["PROBE_HOME"] = str(home)
        os.chdir(home.parent)
        for number, file in zip((1, 2), said, strict=True):
            os.dup2(file.fileno(), number)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  it ends with the process
        sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
        if memory is not None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * resource.getpagesize() + memory
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        found = act()
        code = found if isinstance(found, int) else 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(bool(error.code))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def contents(home: Path) -> dict[str, str]:
    """Every stored prompt with the digest of its vectors."""
    return {
        folder.name: digest_of(next(folder.glob("*.safetensors")))
        for folder in (home / "prompts").glob("*@*")
    }


def wrong(home: Path) -> list[str]:
    """What a workspace that was broken into says of itself, and what its list lacks."""
    workspace = Workspace(home)
    listed = {card.id: card for card in workspace.list()}
    found = list(workspace.problems())
    for id_ in workspace.prompts.ids():
        if listed.get(id_) != workspace.prompts.card_or_none(id_):
            found.append(f"{id_} is listed as {listed.get(id_)}")
    recorded = [one for one in workspace.evaluations() if one[0] in listed]
    kept = sum(len(workspace.prompts.history_or_none(id_)) for id_ in listed)
    return found if len(recorded) == kept else [*found, f"{len(recorded)} of {kept} records listed"]


def lost(before: dict[str, str], home: Path, but: Sequence[str] = ()) -> list[str]:
    """Prompts that are gone or changed."""
    after = contents(home)
    return [f"{id_} is gone or changed" for id_, digest in before.items()
            if id_ not in but and after.get(id_) != digest]  # fmt: skip


def sweep(home: Path, *others: Path) -> list[str]:
    """Let everything be swept that may be; what is left all the same."""
    for path in litter(home, *others):
        long_ago = time.time() - 600
        os.utime(path, (long_ago, long_ago))
    Workspace(home).remove_leftovers()  # as the doctor does
    for folder in others:
        keep_file(folder / "next", b"")  # as whatever is written there next
    return litter(home, *others)


def litter(*folders: Path) -> list[str]:
    """What nobody owns: hidden and half-written files."""
    found = (path for folder in folders for path in folder.rglob("*"))
    return [
        str(path) for path in found
        if (path.name.startswith(".") and path.name not in _LOCKS) or path.suffix == ".part"
    ]  # fmt: skip


def _make_model(folder: Path) -> None:
    """A random model of the built-in one's kind that takes a millisecond a step."""
    source = Path(str(named_path("builtin")))
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(source)
    config.hidden_size, config.intermediate_size = 32, 48
    config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads = 2, 2, 2
    config.head_dim, config.layer_types = 16, None
    automatic: Any = AutoModelForCausalLM  # untyped there
    automatic.from_config(config).save_pretrained(folder)
    for path in source.glob("tokenizer*"):
        shutil.copy(path, folder)


def _make_task(folder: Path) -> None:
    folder.mkdir()
    (folder / "task.toml").write_text(
        'template = "{text} It was"\nlabel_words = ["terrible", "great"]\n'
    )
    for split, count in (("train", 24), ("validation", 8), ("test", 10)):
        rows = (
            json.dumps({"text": f"the film number {n} was {('bad', 'good')[n % 2]}",
                        "label": n % 2})
            for n in range(count)
        )  # fmt: skip
        (folder / f"{split}.jsonl").write_text("".join(f"{row}\n" for row in rows))
