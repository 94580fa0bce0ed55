"""What befalls a run: a hang-up, a removed folder, damaged versions of its prompt, a full disk."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from probe import verbs
from probe.cli.output import one_line
from probe.cli.watching import _interrupts
from probe.jobs import observe, worker
from probe.jobs.reporter import is_expected, reason
from probe.parent import WATCHED
from probe.prompt import SoftPrompt
from probe.store import Status, Workspace, read_records
from tests.disks import fill, small_disk
from tests.trainable import LIGHT
from tests.waiting import LONGEST_S, until

pytestmark = pytest.mark.usefixtures("own_handlers")

LONG = {"steps": 100_000, "eval_every": 0, "checkpoint_every": 100_000}


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


@pytest.fixture
def make(model, task):
    """Make a run's folder whose worker has not begun."""

    def make(workspace, **training):
        asked = verbs.run_config(
            model, task, LIGHT | training, name="mood", device="cpu", workspace=workspace
        )
        return workspace.runs.create(asked, Status("queued", queued_at=time.time()))

    return make


def _work(run) -> int:
    """Be the worker of a run, in this process."""
    return worker.main([str(run.path)])


def _once_it_trains(run, act):
    """Do something as soon as a run has made two steps."""

    def wait():
        while len(read_records(run.metrics)[0]) < 2:
            time.sleep(0.002)
        act()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    return waiting


def test_a_hang_up_saves_as_ctrl_c_does(workspace, make):
    run = make(workspace, **LONG)
    _once_it_trains(run, lambda: os.kill(os.getpid(), signal.SIGHUP))
    assert _work(run) == 0
    status, state = observe(run)
    assert state == "cancelled" and status.message.startswith(f"stopped at step {status.step} of")
    assert (run.path / "checkpoints" / f"step-{status.step:08d}").is_dir()


def test_a_terminal_that_is_closed_asks_the_run_it_watches_to_save(workspace, make):
    run = make(workspace)
    with _interrupts(workspace, run):
        os.kill(os.getpid(), signal.SIGHUP)
        assert run.stop.exists()
    run.stop.unlink()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # under nohup
    with _interrupts(workspace, run):
        os.kill(os.getpid(), signal.SIGHUP)
        assert not run.stop.exists()


_STARTER = """
import sys, time
from pathlib import Path
from probe.jobs.control import start_worker
from probe.store import JobFolder
start_worker(JobFolder(Path(sys.argv[1])))
time.sleep(600)
"""


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_goes_on_where_the_processes_that_started_it_are_ended(number, workspace, make):
    """As a dashboard's are, which a terminal ends together."""
    run = make(workspace, steps=300)
    command = [sys.executable, "-c", _STARTER, str(run.path)]
    with subprocess.Popen(command, env=os.environ | WATCHED, process_group=0) as starter:
        until(lambda: read_records(run.metrics)[0])
        os.killpg(starter.pid, number)
        assert starter.wait(timeout=LONGEST_S) == -number
    until(lambda: run.status.state != "running")
    assert (run.status.state, run.status.step) == ("finished", 300)
    assert run.status.prompts == ("mood@1",) and not list(run.path.rglob("*.tmp"))


@pytest.mark.parametrize("another", [False, True])
def test_a_worker_whose_run_is_removed_ends_and_brings_nothing_back(another, workspace, make):
    run = make(workspace, **LONG)

    def remove():
        run.path.rename(workspace.root / "away")
        if another:
            run.path.mkdir()

    _once_it_trains(run, remove)
    assert _work(run) == 1
    assert run.path.exists() is another
    assert not another or list(run.path.iterdir()) == []
    assert workspace.prompts.ids() == set()


def test_damaged_versions_of_its_name_do_not_fail_a_run_at_its_end(workspace, make):
    for _ in range(2):
        workspace.save(SoftPrompt("mood", torch.ones(3, 8).numpy()))
    (workspace.prompts.root / "mood@1" / "card.json").write_text("{")
    shutil.rmtree(workspace.prompts.root / "mood@2")
    (workspace.prompts.root / "mood@2").mkdir()
    run = make(workspace)
    assert _work(run) == 0
    assert run.status.prompts == ("mood@3",)


def test_a_damaged_index_does_not_fail_a_run_at_its_end(workspace, make):
    run = make(workspace)
    workspace.index.path.write_bytes(b"no database" * 500)
    assert _work(run) == 0
    assert run.status.prompts == ("mood@1",)


@pytest.mark.process
def test_a_run_on_a_full_disk_says_so_leaves_nothing_half_and_goes_on_later(tmp_path, make):
    with small_disk(tmp_path / "home") as disk:
        run = make(Workspace(disk))
        shutil.rmtree(disk / "runs" / ".turn", ignore_errors=True)
        (disk / "runs" / ".turn").touch()
        (run.path / ".worker").touch()
        ballast = fill(disk)
        assert _work(run) == 1
        status = run.status
        assert (status.state, observe(run)[1]) == ("failed", "failed")
        assert status.message.startswith(f"disk full at {run.path}") and "\n" not in status.message
        assert list(disk.rglob(".writing*")) == []
        ballast.unlink()
        assert _work(run) == 0
        assert run.status.prompts == ("mood@1",)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("std::bad_alloc"),
        OSError(12, "Cannot allocate memory"),
        ImportError("x.so: failed to map segment from shared object"),
    ],
)
def test_too_little_memory_is_named_whoever_noticed_it(error):
    assert reason(error).startswith("out of memory: choose a smaller") and is_expected(error)
    assert one_line(error).startswith("out of memory: end other programs")
