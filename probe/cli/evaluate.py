"""`probe evaluate`: how good prompts are, beside what they must be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.options import Json
from probe.cli.output import complain, print_json
from probe.cli.requests import takes_requests
from probe.requests import EvaluateRequest

if TYPE_CHECKING:
    from probe.verbs import Evaluated, Recorded


@takes_requests
def evaluate(
    asked: EvaluateRequest,
    fail_on_drop: Annotated[
        bool,
        typer.Option(
            "--fail-on-drop",
            help="With --record: exit with 1 where a prompt dropped by more than chance.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Score prompts on a task, with 95 % intervals, beside baselines on the same examples."""
    from probe import verbs

    if fail_on_drop and not asked.record:
        raise typer.BadParameter(
            "add --record: a drop is told from the last record.", param_hint="'--fail-on-drop'"
        )
    result = verbs.evaluate(asked)
    _tell_drops(result)
    if json:
        print_json(result.to_json())
    else:
        from probe.cli.evaluation_table import print_evaluation

        print_evaluation(result)
    if fail_on_drop and any(one.dropped for one in result.records):
        raise typer.Exit(1)


def _tell_drops(result: Evaluated) -> None:
    for one in result.records:
        if one.dropped and one.last is not None:
            complain(
                f"{one.prompt} dropped: {one.record.metric} {one.record.value:.3f}, was "
                f"{one.last.value:.3f} on {one.last.recorded[:10]}{_chance(one)}"
            )


def _chance(one: Recorded) -> str:
    """How often chance alone would bring such a drop, where the examples' scores are known."""
    p_value = None if one.last is None else one.record.p_value(one.last)
    return "" if p_value is None else f" (paired p = {p_value:.2g})"
