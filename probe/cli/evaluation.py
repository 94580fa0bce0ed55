"""`probe evaluate` and `probe predict`: scores with their intervals, and labels of texts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probe.atomic import write_new
from probe.cli.lines import answer_lines, text_or_row
from probe.cli.options import Json
from probe.cli.output import cell, complain, new_place, say, show, table
from probe.cli.requests import takes_requests
from probe.reports.evaluations import (
    condition_words,
    doubt_lines,
    gain_words,
)
from probe.requests import EvaluateRequest, GenerateRequest, PredictRequest, RequestError
from probe.requests.evaluation import AskRequest
from probe.task import METRIC_WORDS

if TYPE_CHECKING:
    from rich.table import Table

    from probe.evaluation import Comparison, Evaluation
    from probe.results import Result
    from probe.verbs.evaluating import Evaluated
    from probe.verbs.predicting import Continuations, Predictions
    from probe.verbs.recording import Recorded


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
    from probe.verbs import evaluating

    if fail_on_drop and not asked.record:
        raise typer.BadParameter(
            "add --record: a drop is told from the last record.", param_hint="'--fail-on-drop'"
        )
    result = evaluating.evaluate(asked)
    _tell_drops(result)
    show(result, print_evaluation, json=json)
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


def print_evaluation(result: Evaluated) -> None:
    """Print header, table, faithfulness and history."""
    found = result.comparison
    say(
        f"{found.task} · {found.n} {found.split} examples · 95 % intervals over examples",
        _scores(found),
        *sorted({_asked_as(one, found) for one in found.evaluations}),
        *doubt_lines(found),
        *map(_history, result.records),
    )


def _scores(found: Comparison) -> Table:
    """One row per way of asking, with its template where there are several."""
    names = [name for name in METRIC_WORDS if name in found.evaluations[0].measures]
    worded = len({one.label_words for one in found.evaluations}) > 1
    columns: dict[str, Callable[[Evaluation], str]] = {
        "asked with": condition_words,
        "template": _words if worded else lambda one: repr(one.template),
        "model": lambda one: one.model,
        **{METRIC_WORDS[name]: partial(_with_interval, name=name) for name in names},
        f"{METRIC_WORDS[found.metric]} − zero-shot": partial(gain_words, metric=found.metric),
    }
    constant = [
        *(["template"] if len({_words(one) for one in found.evaluations}) == 1 else []),
        *(["model"] if len({one.model for one in found.evaluations}) == 1 else []),
        *([] if any(one.against_zero_shot for one in found.evaluations) else [list(columns)[-1]]),
    ]
    shown = {header: of for header, of in columns.items() if header not in constant}
    numbers = tuple(header for header in shown if header not in ("asked with", "template", "model"))
    others = [METRIC_WORDS[name] for name in names if name not in (found.metric, "loss_nats")]
    spare = (*others, METRIC_WORDS["loss_nats"]) if len(numbers) > 1 else ()
    grid = table(*shown, right=numbers, spare=spare)
    for one in found.evaluations:
        grid.add_row(*(cell(of(one)) for of in shown.values()))
    return grid


def _asked_as(one: Evaluation, found: Comparison) -> str:
    """The wording that all share; of several templates, which stand in the rows, the labels."""
    same = len({other.template for other in found.evaluations}) == 1
    return f"asked as: {_words(one)}" if same else f"label words: {', '.join(one.label_words)}"


def _words(one: Evaluation) -> str:
    labels = f" → {', '.join(one.label_words)}" if one.label_words else ""
    return f"{one.template!r}{labels}"


def _with_interval(one: Evaluation, name: str) -> str:
    return f"{one.measures[name]:.3f}"


def _history(one: Recorded) -> str:
    value = f"{one.prompt}: {METRIC_WORDS[one.record.metric]} {one.record.value:.3f} recorded"
    if one.last is None or one.change is None:
        return f"{value}, the first of its kind"
    word = "DROPPED" if one.dropped else "was"
    return f"{value}, {word} {one.last.value:.3f} on {one.last.recorded[:10]} ({one.change:+.3f})"


@dataclass(frozen=True)
class Beside:
    """Files beside the answer."""

    csv: Path | None = None
    """Also write one row per text and prompt to this new file."""


@dataclass(frozen=True, kw_only=True)
class _Lines(AskRequest):
    """Texts that come one by one."""

    serve: bool = False
    """Answer every line of standard input, a text or a JSON object with its columns, with a line of
    JSON, until the input ends; the model stays in memory."""

    def check(self) -> None:
        """Check that texts come from one side.

        Raises:
            RequestError: they come from several, or from none.
        """
        if not self.serve:
            super().check()
        elif self.text or self.file or self.text_column:
            raise RequestError("give --serve, whose texts are lines, or texts, not both", "serve")


@dataclass(frozen=True, kw_only=True)
class _PredictLines(_Lines, PredictRequest):
    pass


@dataclass(frozen=True, kw_only=True)
class _GenerateLines(_Lines, GenerateRequest):
    pass


def _each_line(verb: Callable[..., Result], asked: _Lines) -> None:
    answer_lines(lambda line: verb(replace(asked, serve=False, text=(text_or_row(line),))))


@takes_requests
def predict(asked: _PredictLines, beside: Beside, json: Json = False) -> None:
    """Label texts, with the probability of every label word; several prompts share a batch."""
    from probe.reports.spreadsheets import csv_of
    from probe.verbs import predicting

    csv = new_place(beside.csv)
    if asked.serve and csv:
        raise typer.BadParameter("not with --serve, whose answers are lines.", param_hint="'--csv'")
    if asked.serve:
        _each_line(predicting.predict, asked)
        return
    result = predicting.predict(asked)
    if csv is not None:
        write_new(csv, csv_of(result.to_wide_frame()))
    show(result, _print_labels, json=json)


def _print_labels(result: Predictions) -> None:
    grid = table("text", "prompt", "label", "probabilities")
    for one in result.predictions:
        ranked = sorted(one.probabilities.items(), key=lambda pair: -pair[1])
        shares = ", ".join(f"{word} {share:.3f}" for word, share in ranked)
        grid.add_row(*map(cell, (one.text, one.prompt, one.label, shares)))
    say(grid)


@takes_requests
def generate(asked: _GenerateLines, json: Json = False) -> None:
    """Continue texts, greedily, with the prompt in front; several prompts share a batch."""
    from probe.verbs import predicting

    if asked.serve:
        _each_line(predicting.generate, asked)
        return
    show(predicting.generate(asked), _print_texts, json=json)


def _print_texts(result: Continuations) -> None:
    grid = table("text", "prompt", "continuation")
    for one in result.continuations:
        grid.add_row(*map(cell, (one.text, one.prompt, one.output)))
    say(grid)
