"""A run seen from a terminal, a pipe or a program; Ctrl-C lets it save and end."""

from __future__ import annotations

import json as json_module
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from probe.analysis.gains import score_sentence
from probe.cli.options import Watched
from probe.cli.output import Line, complain, say, tell_queue, visible
from probe.cli.output import show as print_all
from probe.cli.runs_table import fold_lines, go_on_command, print_runs, score
from probe.errors import TrainingError
from probe.jobs import JobView, RunUpdate, cancel, follow, view
from probe.jobs.headlines import job_headline
from probe.requests.train_methods import injects_prefix
from probe.results import Rows
from probe.store.card import name_note
from probe.texts import duration

if TYPE_CHECKING:
    from probe.store import JobFolder, Workspace

_LINES = 10
"""Lines that a run without validations prints into a pipe."""


def attend(workspace: Workspace, run: JobFolder, shown: Watched) -> None:
    """Leave a run that has just been started to itself, or watch it."""
    if not shown.detach:
        raise typer.Exit(watch(workspace, run, json=shown.json))
    found = view(workspace, run)
    for note in found.notes:
        complain(note)
    print_all(Rows([found], "jobs.runs"), print_runs, json=shown.json)


def watch(workspace: Workspace, run: JobFolder, *, json: bool) -> int:
    """Show a run until nobody works at it any more; the exit status."""
    tell_queue(view(workspace, run).waits_for)
    with _interrupts(workspace, run), Line() as line:
        show: Callable[[RunUpdate], None] = _Steps(line, run.config.steps or 1).show
        if json:
            show = _print_records
        elif not run.config.is_training:
            show = lambda _: line.show(job_headline(view(workspace, run)))  # noqa: E731
        said = [name_note(run.config.name) or ""]  # when it began
        for news in follow(run):
            for note in news.status.notes:
                if note not in said:
                    line.tell(f"probe: {note}")
                    said.append(note)
            show(news)
    return _print_end(view(workspace, run), json=json)


@contextmanager
def _interrupts(workspace: Workspace, run: JobFolder) -> Iterator[None]:
    """The first Ctrl-C, SIGTERM or hang-up lets the run save and end, the second one kills it."""
    asked = 0

    def on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal asked
        asked += 1
        patience_s = 30.0 if asked == 1 else 0.0
        note = "saving (again to kill it)" if asked == 1 else "killing"
        with suppress(OSError):
            run.stop.touch(mode=0o600)  # at once: without a terminal this process may end first
            # A terminal has just printed ^C on the line.
            sys.stderr.write(("\n" if sys.stderr.isatty() else "") + f"probe: {note} …\n")
        arguments = (workspace, run, patience_s)
        threading.Thread(target=_cancel, args=arguments, daemon=True).start()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        numbers.append(signal.SIGHUP)
    before = [signal.signal(number, on_signal) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _cancel(workspace: Workspace, run: JobFolder, patience_s: float) -> None:
    with suppress(TrainingError):  # it has just ended by itself
        cancel(workspace, run.id, save_s=patience_s, end_s=patience_s / 3)


def _print_records(news: RunUpdate) -> None:
    for record in news.records:
        _print_line(record)


def _print_line(document: dict[str, Any]) -> None:
    sys.stdout.write(json_module.dumps(document, allow_nan=False) + "\n")
    sys.stdout.flush()


class _Steps:
    """A line per validation, and now and then one between; on a terminal one that moves."""

    def __init__(self, line: Line, steps: int) -> None:
        self._line, self._steps = line, steps
        self._every = max(1, steps // _LINES)
        self._activity = ""

    def show(self, news: RunUpdate) -> None:
        """Show what is new."""
        status = news.status
        if self._line.moves:
            how_far = _words(vars(status), f" of {self._steps}") if status.step else ""
            self._line.show(" · ".join(filter(None, (status.activity or "waiting", how_far))))
        elif status.activity not in ("", self._activity):
            self._activity = status.activity
            self._line.tell(f"probe: {self._activity} …")
        for record in news.records:
            if record["warning"]:
                self._line.tell(f"probe: {record['warning']}")
            due = record["validation"] or record["step"] % self._every == 0
            if due and not self._line.moves:
                self._line.tell(_words(record))


def _words(record: Mapping[str, Any], of: str = "") -> str:
    """How far a training is, as a record of it or its status says."""
    parts = [f"step {record['step']}{of}"]
    if record.get("fold") is not None:
        parts.append(f"fold {record['fold']}")
    if record["loss_nats"] is not None:
        parts.append(f"loss {record['loss_nats']:.4f} nats")
    if record["validation"]:
        parts.append(score(record["validation"]))
    if record["tokens_per_s"] is not None:
        parts.append(f"{record['tokens_per_s']:,.0f} tokens/s")
    if record["eta_s"] is not None:
        parts.append(f"{duration(record['eta_s'])} left")
    return " · ".join(parts)


def _print_end(run: JobView, *, json: bool) -> int:
    """What came of it, or how to go on; the exit status."""
    if json:
        first = run.prompts[0] if run.prompts else None
        _print_line(
            {
                "prompt": first,
                "prompts": list(run.prompts),
                "run": run.run,
                "state": run.state,
                "metrics": run.metrics,
                "notes": list(run.notes),
            }
        )
    if run.state != "finished":
        complain(_failure(run))
        return 1
    if run.message:
        sys.stderr.write(f"probe: {visible(run.message)}\n")
    if not json:
        _print_made(run)
    return 0


def _failure(run: JobView) -> str:
    again = go_on_command(run)
    if run.state == "cancelled":
        return f"{run.message}: go on with {again}"
    if run.state == "interrupted":
        return f"{job_headline(run).rstrip('.')}: go on with {again}"
    return f"{run.message} (run {run.run})"


def _print_made(run: JobView) -> None:
    if not run.is_training:
        say(f"{run.run}: {run.done} runs are finished, see {run.folder}")
        return
    score_words = score_sentence(run.metrics)
    # Keys and values have no nearest tokens to decode.
    reader = "inspect" if injects_prefix(run.method) else "decode"
    say(
        *(f"made {prompt}" for prompt in run.prompts),
        *fold_lines(run.metrics, run.prompts),
        *([score_words] if score_words else []),
        f"run {run.run}: `probe {reader} {run.prompts[0]}` reads it",
    )
