"""A study while it runs, on stderr: one line that moves on a terminal, few lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from probe.cli.output import visible

if TYPE_CHECKING:
    from probe.sweep import Plan, Progress

_EVERY_S = {True: 0.5, False: 60.0}
"""Between two lines within a pack, on a terminal and elsewhere."""


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
    from probe.cli.watching import duration

    parts = [f"{progress.done} of {progress.runs} runs"]
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


def print_plan(facts: dict[str, str], plan: Plan) -> None:
    """What would be done, for people."""
    from probe.cli.runs import print_facts
    from probe.cli.watching import duration

    shared = plan.runs - plan.trainings
    step = "–" if plan.update_s is None else f"{plan.update_s * 1000:,.0f} ms per prompt"
    print_facts(
        facts
        | {
            "runs": f"{plan.runs:,}"
            + (f", {shared:,} of which are others over again" * bool(shared)),
            "trained before": f"{plan.found:,}",
            "to train": f"{plan.trainings - plan.found:,} in {plan.packs:,} packs of up to "
            f"{plan.at_once}",
            "a step": step,
            "all steps": f"about {duration(plan.estimate_s)}, without scores",
        }
    )
