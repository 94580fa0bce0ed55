"""Commands of `probe` in processes of their own: none can take the page or the server along."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import streamlit as st

from dashboard.shared.markdown import plain
from dashboard.shared.public_demo import is_offered, refuse_changes
from dashboard.shared.resources import workspace
from probe import __version__
from probe.atomic import make_private, privately
from probe.errors import TrainingError
from probe.parent import WATCHED
from probe.tables.named import stamp_of

_AT_ONCE = 2
"""Computations that may be at work: they share this machine with the dashboard."""
_PLAN_WAIT_S = 300
_TAIL = 400
"""Bytes that hold the last line of what a command says."""


@dataclass
class SideJob:
    """One command at work, or ended."""

    process: subprocess.Popen[bytes]
    complaints: IO[bytes]
    answer: Path | None
    """Where its standard output goes once it has succeeded."""
    began: float = field(default_factory=time.monotonic)
    cancelled: bool = False

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self.process.poll() is None

    @property
    def elapsed_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def said(self) -> str:
        """The last whole line that it has written so far, such as how far it is."""
        # The process writes where this file stands, so it may not be moved while reading.
        size = os.fstat(self.complaints.fileno()).st_size
        tail = os.pread(self.complaints.fileno(), _TAIL, max(0, size - _TAIL))
        whole = tail.decode("utf-8", "replace").rpartition("\n")[0]
        return whole.rpartition("\n")[2].strip()

    def keep_answer(self) -> None:
        """Put what it said in its place once it has succeeded."""
        if self.answer and self.process.returncode == 0 and _part(self.answer).exists():
            _part(self.answer).replace(self.answer)

    def last_words(self) -> str:
        """Why it failed, in one line."""
        self.complaints.seek(0)
        return _reason(self.complaints.read(), self.process.returncode)


def plan_of(command: Sequence[str]) -> dict[str, Any]:
    """What a `probe` command would do and how long it would take: a few of its steps, measured.

    Raises:
        TrainingError: the run could not be done as it is asked for.
    """
    refuse_changes()
    try:
        # Asked anew each time: what is left to train, and how busy the machine is, change.
        with st.spinner("Making three steps to see how long they take …"):
            done = subprocess.run(
                _words((*command[1:], "--dry-run", "--json")), stdin=subprocess.DEVNULL,
                capture_output=True, timeout=_PLAN_WAIT_S, check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TrainingError(
            f"three steps took longer than {_PLAN_WAIT_S} s: choose a smaller model or batch"
        ) from None
    if done.returncode:
        raise TrainingError(_reason(done.stderr, done.returncode))
    plan: dict[str, Any] = json.loads(done.stdout)
    return plan


def answer_path(arguments: Sequence[str], key: object, model: str | None) -> Path:
    """Where the answer of a command is kept, by its words and by what they stand for now.

    Args:
        arguments: of `probe`; full paths among them stand for the files that are there.
        key: what other words stand for.
        model: the one that is asked.
    """
    there = [sorted(stamp_of(word)) for word in (*arguments, model or "") if word.startswith("/")]
    what = (__version__, tuple(arguments), key, there)
    return workspace().root / "cache" / f"{hashlib.sha256(repr(what).encode()).hexdigest()}.json"


def job_of(arguments: Sequence[str]) -> SideJob | None:
    """The job of these arguments, at work or just ended."""
    job = _jobs().get((str(workspace().root), *arguments))
    if job and not job.running:
        job.keep_answer()
    return job


def start_job(arguments: Sequence[str], answer: Path | None = None) -> None:
    """Run `probe` with these arguments, unless that is being done already."""
    refuse_changes()
    known = job_of(arguments)
    if known and known.running:
        return
    with ExitStack() as unstarted:
        complaints = unstarted.enter_context(tempfile.TemporaryFile())
        with _place(answer) as said:
            process = subprocess.Popen(
                _words(arguments), stdin=subprocess.PIPE, stdout=said, stderr=complaints,
                start_new_session=True, env=os.environ | WATCHED,
            )  # fmt: skip
        unstarted.pop_all()  # the file lives as long as the job
    _jobs()[str(workspace().root), *arguments] = SideJob(process, complaints, answer)


@contextmanager
def _place(answer: Path | None) -> Iterator[IO[bytes] | int]:
    """Where a command's standard output goes; nothing stays there if it cannot start."""
    if answer is None:
        yield subprocess.DEVNULL
        return
    make_private(answer.parent)
    with open(_part(answer), "wb", opener=privately) as said:
        try:
            yield said
        except OSError:
            _part(answer).unlink(missing_ok=True)
            raise


def draw_job(arguments: Sequence[str], what: str, expected_s: float) -> bool:
    """Show a job at work, or why it failed; whether there was anything to show.

    Once it has succeeded the page runs again, to show what came of it.
    """
    job = job_of(arguments)
    if job is None:
        return False
    if job.running:
        _draw_running(tuple(arguments), what, expected_s)
        return True
    if job.process.returncode and not job.cancelled:
        st.error(plain(f"{what} failed: {job.last_words()}"), icon=":material/error:")
    _jobs().pop((str(workspace().root), *arguments), None)  # another tab may have done so
    return False


def draw_answer(
    label: str,
    arguments: Sequence[str],
    key: object,
    *,
    model: str | None,
    doing: str,
    expected_s: float,
) -> Any:
    """The document that a command printed; until there is one, its button or how far it is.

    Args:
        label: of the button.
        arguments: of `probe`, with `--json`.
        key: what its words stand for.
        model: the one that is asked.
        doing: what it does, for the bar.
        expected_s: how long it takes where nothing else runs.
    """
    answer = answer_path(arguments, key, model)
    if not draw_job(arguments, doing, expected_s) and not answer.exists():
        draw_start(label, arguments, answer)
    return json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else None


def draw_start(
    label: str, arguments: Sequence[str], answer: Path | None = None, *, at_once: bool = False
) -> None:
    """The button that starts `probe` with these arguments, unless enough is at work already.

    Args:
        label: of the button.
        arguments: of `probe`.
        answer: where what it prints is kept.
        at_once: start without a click, in a session once: what was cancelled or failed waits.
    """
    if not is_offered("computations of minutes"):
        return
    busy = sum(job.running for job in _jobs().values()) >= _AT_ONCE
    asked = st.button(
        label, type="primary", icon=":material/play_arrow:", disabled=busy,
        help="Two at a time." if busy else None,
    )  # fmt: skip
    begun = st.session_state.setdefault("begun", set())
    if asked or (at_once and not busy and arguments not in begun):
        begun.add(arguments)
        start_job(arguments, answer)
        st.rerun()


@st.fragment(run_every=1.0)
def _draw_running(arguments: tuple[str, ...], what: str, expected_s: float) -> None:
    job = job_of(arguments)
    if job is None or not job.running:
        st.rerun()
    told = f" {plain(job.said)}." if job.said else ""
    bar, stop = st.columns([5, 1], vertical_alignment="center")
    bar.progress(
        min(0.95, job.elapsed_s / expected_s),
        f"{what}: {job.elapsed_s:.0f} s so far, about {expected_s:.0f} s where nothing else runs."
        f"{told} "
        "You may leave this page; the result is kept.",
    )
    if stop.button("Cancel", icon=":material/close:", width="stretch", key=f"cancel_{what}"):
        job.cancelled = True
        job.process.terminate()
        st.rerun()


def _words(arguments: Sequence[str]) -> list[str]:
    """The command line of `probe` with these arguments."""
    return [sys.executable, "-P", "-m", "probe", *arguments]


def _reason(complaints: bytes, code: int) -> str:
    """Why a command failed, in one line."""
    lines = complaints.decode("utf-8", "replace").strip().splitlines()
    return (lines or [f"it ended with {code}: out of memory?"])[-1].removeprefix("probe: ")


def _part(answer: Path) -> Path:
    return answer.with_suffix(".part")


@st.cache_resource(show_spinner=False)
def _jobs() -> dict[tuple[str, ...], SideJob]:
    jobs: dict[tuple[str, ...], SideJob] = {}
    atexit.register(_end, jobs)
    return jobs


def _end(jobs: dict[tuple[str, ...], SideJob]) -> None:
    """End what is at work: nobody would find it once the server is gone."""
    for job in jobs.values():
        if job.running:
            job.process.terminate()
