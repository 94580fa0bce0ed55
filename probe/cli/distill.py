"""`probe distill`: a text of one's own in a prompt, and what the prompt reads like."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from probe.cli.options import Json
from probe.cli.output import console, print_json, visible
from probe.cli.requests import takes_requests
from probe.requests import DistillRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.training import Step
    from probe.verbs import Distilled


@takes_requests
def distill(asked: DistillRequest, json: Json = False) -> None:
    """Train a prompt to do what a text does, keep it in the workspace, and read it."""
    from probe import verbs

    found = verbs.distill(replace(asked, on_step=_watch if sys.stderr.isatty() else None))
    if json:
        print_json(found.to_json())
    else:
        _print(found)


def _watch(step: Step) -> None:
    """One line that is written over, and ends with the last step."""
    end = "\n" if step.stopped else ""
    sys.stderr.write(f"\rstep {step.step}: {step.loss_nats:.3f} nats {end}")
    sys.stderr.flush()


def _print(found: Distilled) -> None:
    from probe.cli.read import print_reading

    print_reading(found.reading)
    out, own, cut = console(), found.explained, found.truncated
    out.print("")
    out.print(
        f"{own.share:.2f} of the text's effect is in {counted(found.length, 'row')} "
        f"({own.interval[0]:.2f} to {own.interval[1]:.2f}; {own.kl_nats:.3f} of {own.kl0_nats:.3f} "
        f"nats per token are left on {own.contexts} held-out contexts).",
        soft_wrap=True,
    )
    out.print(
        visible(
            f"The text's first {counted(found.length, 'token')} ({found.truncated_text!r}) have "
            f"{cut.share:.2f} ({cut.interval[0]:.2f} to {cut.interval[1]:.2f})."
        ),
        soft_wrap=True,
    )
    out.print(visible(f"Kept as {found.prompt}; {found.seconds:.0f} s."), soft_wrap=True)
