"""Many at once on one workspace, and limits: too little memory, a process killed for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

from faults_kills import differs, finish, trained
from faults_room import Room, Row, command, forked, sweep, wrong

from probe.cli.dashboard import _free_port
from probe.jobs import observe, worker
from probe.store import Workspace

_CROWD_S = 300.0
_MEGABYTE = 1 << 20


def crowd(room: Room, processes: int, each: int) -> list[Row]:
    """Processes that all write one workspace at once, beside others that read it."""
    tagging, adding = (
        Row(f"{processes} processes tag one prompt"),
        Row(f"{processes} processes add"),
    )
    home = room.copy()

    def tag(number: int) -> None:
        workspace = Workspace(home)
        for turn in range(each):
            workspace.tag("mine", f"t{number}-{turn}")

    def add(number: int) -> None:
        workspace = Workspace(home)
        prompt = workspace.get("mine")
        for _ in range(each):
            workspace.save(prompt, tags=[f"by-{number}"])

    def read(_: int) -> None:
        workspace = Workspace(home)
        for _ in range(each * 4):
            workspace.stamp()
            workspace.list()
            workspace.evaluations()
            workspace.damaged()

    for row, act in ((tagging, tag), (adding, add)):
        row.tries = processes * each
        row.foreign += _at_once([act] * processes + [read] * 2)
    tags = {tag for tag in Workspace(home).card("mine@1").tags if tag.startswith("t")}
    tagging.losses += [f"{len(tags)} of {processes * each} tags"] * (len(tags) != processes * each)
    for number in range(processes):
        found = len(Workspace(home).list(f"by-{number}"))
        adding.losses += [f"{found} of {each} prompts"] * (found != each)
    adding.losses += wrong(home)
    adding.left += sweep(home)
    room.drop(home)
    return [tagging, adding]


def _at_once(acts: list[Callable[[int], None]]) -> list[str]:
    pids = []
    for number, act in enumerate(acts):
        pid = os.fork()
        if not pid:
            try:
                act(number)
                os._exit(0)
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
        pids.append(pid)
    ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return [f"a process ended with {code}" for code in ended if code]


def dashboards(room: Room) -> list[Row]:
    """Two dashboards on one workspace, beside commands; then each is ended in another way."""
    row = Row("two dashboards on one workspace, ended by signals")
    home = room.copy()
    for numbers in ((signal.SIGTERM, signal.SIGHUP), (signal.SIGINT, signal.SIGKILL)):
        started = [_dashboard(home) for _ in numbers]
        for ended in (command(home, "library", "tag", "mine", f"n{row.tries}"),
                      command(home, "library")):  # fmt: skip
            row.foreign += ended.foreign
        for (process, port), number in zip(started, numbers, strict=True):
            row.tries += 1
            process.send_signal(number)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                row.foreign.append(f"a dashboard lives 10 s after {number.name}")
            assert process.stderr is not None
            said = process.stderr.read().decode(errors="replace")
            row.foreign += [f"it said {said[-200:]}"] * ("Traceback" in said)
            row.left += [f"its server answers after {number.name}"] * _answers(port, 10)
    row.losses += wrong(home)
    row.left += sweep(home)
    room.drop(home)
    return [row]


def _dashboard(home: Path) -> tuple[subprocess.Popen[bytes], int]:
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "probe", "app", "--no-browser", "--port", str(port)],
        env=os.environ | {"PROBE_HOME": str(home)}, stderr=subprocess.PIPE,
    )  # fmt: skip
    until = time.monotonic() + 300
    while not _answers(port, 0):
        assert time.monotonic() < until and process.poll() is None, "no dashboard"
        time.sleep(0.1)
    return process, port


def _answers(port: int, wait_s: float) -> bool:
    """Whether a server still answers after a while."""
    until = time.monotonic() + wait_s
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
        except OSError:
            return False
        if time.monotonic() >= until:
            return True
        time.sleep(0.1)


def too_little_memory(room: Room, tries: int) -> list[Row]:
    """Trainings under a limit of memory, resumed without one; and commands under one."""
    training, asking = Row("little memory: training, resumed"), Row("little memory: commands")
    home = room.copy()
    asked = room.asked(home)
    forked(lambda: worker.main([str(asked.path)]), home)
    expected = trained(asked)
    for _ in range(tries):
        training.tries += 1
        run = room.asked(home)
        memory = room.rng.randrange(0, 40 * _MEGABYTE)
        ended = forked(partial(worker.main, [str(run.path)]), home, memory=memory)
        training.foreign += ended.foreign if ended.code in (0, 1) else []
        status, state = observe(run)
        if state == "failed" and "memory" not in status.message:
            training.foreign.append(f"too little memory is told as {status.message!r}")
        if state != "finished":
            training.foreign += finish(run, home)
        training.losses += differs(expected, run)
        asking.tries += 1
        ended = command(home, "decode", "sst2-text@1", memory=memory)
        asking.foreign += ended.foreign if ended.code in (0, 1) else []
    training.losses += wrong(home)
    training.left += sweep(home)
    room.drop(home)
    return [training, asking]
