"""`probe predict`: the label of every text under every prompt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probe.cli.options import Json
from probe.cli.output import cell, console, print_json, table
from probe.cli.requests import takes_requests
from probe.requests import PredictRequest

if TYPE_CHECKING:
    from probe.verbs import Predictions


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
        _print(result)


def _print(result: Predictions) -> None:
    grid = table("text", "prompt", "label", "probabilities")
    for one in result.predictions:
        ranked = sorted(one.probabilities.items(), key=lambda pair: -pair[1])
        shares = ", ".join(f"{word} {share:.3f}" for word, share in ranked)
        grid.add_row(*map(cell, (one.text, one.prompt, one.label, shares)))
    console().print(grid)
