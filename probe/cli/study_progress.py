"""A study planned, done and shown; while it runs, a line on stderr says how far it is."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from probe.cli.output import print_json, tell_queue, visible
from probe.texts import counted

if TYPE_CHECKING:
    from probe.studies.executor import Progress
    from probe.verbs import StudyResult

_EVERY_S = {True: 0.5, False: 60.0}
"""Between two lines within a pack, on a terminal and elsewhere."""


@dataclass(frozen=True)
class Output:
    """What becomes of a study besides its folder."""

    out: Path | None = None
    """Also copy results, figures and prompts to this new folder."""
    dry_run: bool = False
    """Count runs, make two steps, print plan and time."""
    json: bool = False
    """Print one JSON document and nothing else."""


class Line:
    """Shows how far a study is."""

    def __init__(self) -> None:
        self._moves = sys.stderr.isatty()
        self._shown_s = 0.0
        self._width = 0

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._moves and self._width:
            sys.stderr.write("\n")

    def watch(self, progress: Progress) -> None:
        """Show it, if there is news or time has passed."""
        now_s = time.monotonic()
        if progress.pack is not None and now_s - self._shown_s < _EVERY_S[self._moves]:
            return
        self._shown_s = now_s
        text = visible(_words(progress))
        if self._moves:
            sys.stderr.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            sys.stderr.write(f"probe: {text}\n")
        sys.stderr.flush()


def _words(progress: Progress) -> str:
    from probe.jobs.eta import duration

    parts = [f"{progress.done} of {counted(progress.runs, progress.what)}"]
    if progress.found:
        parts.append(f"{progress.found} found")
    if progress.pack is not None:
        parts.append(
            f"step {progress.pack.step} of {progress.pack.steps}, "
            f"loss {progress.pack.loss_nats:.3f} nats"
        )
    if progress.eta_s is not None and progress.done < progress.runs:
        parts.append(f"about {duration(progress.eta_s)} left")
    return " · ".join(parts)


def run_and_print(
    run: Callable[..., StudyResult], show: Callable[[StudyResult], None], output: Output
) -> None:
    """Do a study, keep a copy where one was asked for, and show what it found.

    Args:
        run: does it; takes who watches it, and who is told what it waits for.
        show: prints what it found.
        output: what else becomes of it.
    """
    from probe.cli.output import new_place

    out = new_place(output.out)
    with Line() as line:
        result = run(watch=line.watch, told=tell_queue)
    if out is not None:
        _keep_copy(result.folder, out)
    if output.json:
        print_json(result.to_json())
    else:
        show(result)


def _keep_copy(study: Path, out: Path) -> None:
    """Copy what a study made; its status, log and lock stay behind."""
    hidden = shutil.ignore_patterns(".*", "status.json", "log.txt")
    shutil.copytree(study, out, ignore=hidden)
