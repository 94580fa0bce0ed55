"""`probe distill`: a text of one's own in a prompt, and what the prompt reads like."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from probe.cli.options import Json
from probe.cli.output import console, print_json, visible
from probe.cli.requests import takes_requests
from probe.requests import DistillRequest

_EVERY = 5
"""Steps between the lines of a run that is not watched on a terminal."""

if TYPE_CHECKING:
    from probe.training import Step
    from probe.verbs import Distilled


@takes_requests
def distill(asked: DistillRequest, json: Json = False) -> None:
    """Train a prompt to do what a text does, keep it in the workspace, and read it."""
    from probe import verbs

    found = verbs.distill(replace(asked, on_step=_watch if sys.stderr.isatty() else _tell))
    if json:
        print_json(found.to_json())
    else:
        _print(found)


def _watch(step: Step) -> None:
    """One line that is written over, and ends with the last step."""
    end = "\n" if step.stopped else ""
    sys.stderr.write(f"\rstep {step.step}: {step.loss_nats:.3f} nats {end}")
    sys.stderr.flush()


def _tell(step: Step) -> None:
    """A line now and then, for pipes and logs."""
    if step.stopped or step.step == 1 or step.step % _EVERY == 0:
        sys.stderr.write(f"step {step.step}: {step.loss_nats:.3f} nats\n")
        sys.stderr.flush()


def _print(found: Distilled) -> None:
    from probe.cli.read import print_reading

    print_reading(found.reading)
    out = console()
    out.print("")
    for line in found.headline():
        out.print(visible(line), soft_wrap=True)
