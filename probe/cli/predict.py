"""`probe predict` and `probe generate`: what texts get under every prompt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.options import Json
from probe.cli.output import cell, console, print_json, table
from probe.cli.requests import takes_requests
from probe.requests import GenerateRequest, PredictRequest

if TYPE_CHECKING:
    from probe.verbs import Continuations, Predictions


@dataclass(frozen=True)
class Beside:
    """Files beside the answer."""

    csv: Path | None = None
    """Also write one row per text and prompt to this new file."""


@takes_requests
def predict(asked: PredictRequest, beside: Beside, json: Json = False) -> None:
    """Label texts, with the probability of every label word; several prompts share a batch."""
    from probe import verbs
    from probe.cli.exports import new_place, write_table

    csv = new_place(beside.csv)
    result = verbs.predict(asked)
    if csv is not None:
        write_table(result.to_wide_frame(), csv)
    if json:
        print_json(result.to_json())
    else:
        _print_labels(result)


def _print_labels(result: Predictions) -> None:
    grid = table("text", "prompt", "label", "probabilities")
    for one in result.predictions:
        ranked = sorted(one.probabilities.items(), key=lambda pair: -pair[1])
        shares = ", ".join(f"{word} {share:.3f}" for word, share in ranked)
        grid.add_row(*map(cell, (one.text, one.prompt, one.label, shares)))
    console().print(grid)


@takes_requests
def generate(asked: GenerateRequest, json: Json = False) -> None:
    """Continue texts, greedily, with the prompt in front; several prompts share a batch."""
    from probe import verbs

    result = verbs.generate(asked)
    if json:
        print_json(result.to_json())
    else:
        _print_texts(result)


def _print_texts(result: Continuations) -> None:
    grid = table("text", "prompt", "continuation")
    for one in result.continuations:
        grid.add_row(*map(cell, (one.text, one.prompt, one.output)))
    console().print(grid)
