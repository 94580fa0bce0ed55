"""A study planned, done and shown; while it runs, a line on stderr says how far it is."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from probe.cli.output import print_facts, print_json, tell_queue, visible
from probe.texts import counted

if TYPE_CHECKING:
    from probe.studies import Progress, StudyPlan
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

    parts = [f"{progress.done} of {counted(progress.runs, 'run')}"]
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
    from probe.cli.exports import new_place

    out = new_place(output.out)
    with Line() as line:
        result = run(watch=line.watch, told=tell_queue)
    if out is not None:
        _keep_copy(result.folder, out)
    if output.json:
        print_json(result.to_json())
    else:
        show(result)


def print_plan(plan: StudyPlan, facts: Mapping[str, str], *, json: bool) -> None:
    """What a study would do, with facts of its own kind before what all have."""
    if json:
        print_json(plan.to_json())
    else:
        _print_facts(facts, plan)


def _print_facts(facts: Mapping[str, str], plan: StudyPlan) -> None:
    from probe.jobs.eta import duration

    shared = plan.runs - plan.trainings
    step = "–" if plan.update_s is None else f"{plan.update_s * 1000:,.0f} ms per prompt"
    print_facts(
        {
            **facts,
            "runs": f"{plan.runs:,}"
            + (f", {shared:,} of which are others over again" * bool(shared)),
            "trained before": f"{plan.found:,}",
            "to train": f"{plan.trainings - plan.found:,} in "
            f"{counted(plan.packs, 'pack')} of up to {plan.at_once}",
            "a step": step,
            "all steps": f"about {duration(plan.estimate_s)}, without scores",
        }
    )


def _keep_copy(study: Path, out: Path) -> None:
    """Copy what a study made; its status, log and lock stay behind."""
    hidden = shutil.ignore_patterns(".*", "status.json", "log.txt")
    shutil.copytree(study, out, ignore=hidden)
