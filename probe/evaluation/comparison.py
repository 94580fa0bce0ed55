"""Conditions compared on the same examples, with paired intervals."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probe.bootstrap import Bootstrap, Estimate
from probe.evaluation.answering import Answers
from probe.evaluation.conditions import CONTROL_KINDS, Kind, PromptWording
from probe.evaluation.measuring import Numbers, example_scores, measured
from probe.evaluation.readability import Faithfulness, Readability, faithfulness
from probe.results import Result
from probe.task import Example

METRICS = ("accuracy", "macro_f1", "exact_match", "rouge_l", "loss_nats")
"""What an evaluation may hold, in the order it is printed."""


@dataclass(frozen=True)
class Evaluation(Result):
    """How well one condition did."""

    name: str
    kind: Kind
    model: str
    template: str
    label_words: tuple[str, ...]
    measures: Mapping[str, Estimate]
    """By the names of `METRICS`."""
    against_zero_shot: Mapping[str, Estimate] | None
    """The same minus zero-shot, paired; None where zero-shot was not asked in these words."""
    method: str | None = None
    """How a prompt was trained; None for everything else."""
    example_scores: tuple[float, ...] = ()
    """What each example adds to the task's metric, in the order of the examples."""

    def _document(self) -> dict[str, Any]:
        beside = self.against_zero_shot
        return {
            "name": self.name,
            "kind": self.kind,
            "method": self.method,
            "model": self.model,
            "template": self.template,
            "label_words": self.label_words,
            **{name: _value(self.measures, name) for name in METRICS},
            "interval": _intervals(self.measures),
            "against_zero_shot": beside
            and {
                name: {"difference": measure.value, "interval": measure.ends}
                for name, measure in beside.items()
            },
        }


@dataclass(frozen=True)
class Comparison(Result):
    """What `probe evaluate` found."""

    task: str
    split: str
    n: int
    """Examples."""
    metric: str
    """The task's own."""
    seed: int
    """Of the resamples and of the controls."""
    evaluations: tuple[Evaluation, ...]
    faithfulness: tuple[Faithfulness, ...] = ()
    readability: tuple[Readability, ...] = ()

    def _rows(self) -> list[dict[str, Any]]:
        """One row per condition."""
        rows = []
        for one in self.evaluations:
            row: dict[str, Any] = {"name": one.name, "kind": one.kind, "method": one.method}
            row["model"] = one.model
            for name, measure in one.measures.items():
                low, high = measure.ends
                row |= {name: measure.value, f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
        return rows

    def _document(self) -> dict[str, Any]:
        return {**super()._document(), **self.evaluations[0].to_json()}


def compare(
    answers: Sequence[Answers],
    examples: Sequence[Example],
    *,
    model: str,
    metric: str,
    seed: int = 0,
) -> tuple[tuple[Evaluation, ...], tuple[Faithfulness, ...]]:
    """Numbers with intervals, differences to zero-shot, and faithfulness where it was asked for.

    Args:
        answers: of every condition, to the same examples. The draws of the two controls of a
            discretised prompt carry its name; they count for its faithfulness alone.
        examples: with labels or targets.
        model: its name.
        metric: the task's, for faithfulness.
        seed: of the resamples.
    """
    bootstrap = Bootstrap(len(examples), seed=seed)
    numbers = [measured(one, examples, bootstrap) for one in answers]
    alone = {
        one.condition.wording: found
        for one, found in zip(answers, numbers, strict=True)
        if one.condition.kind == "zero_shot"
    }
    evaluations = tuple(
        dataclasses.replace(
            _evaluation(one, found, alone.get(one.condition.wording), model),
            example_scores=example_scores(one, examples, metric),
        )
        for one, found in zip(answers, numbers, strict=True)
        if one.condition.kind not in CONTROL_KINDS
    )
    return evaluations, _faithfulness(answers, numbers, alone, metric)


def _evaluation(
    answers: Answers, numbers: Numbers, alone: Numbers | None, model: str
) -> Evaluation:
    condition = answers.condition
    against = None
    if alone is not None and condition.kind != "zero_shot":
        against = {name: (one - alone[name]).estimate() for name, one in numbers.items()}
    return Evaluation(
        name=condition.name,
        kind=condition.kind,
        model=model,
        template=condition.task.template,
        label_words=condition.task.spelled_words,
        measures={name: one.estimate() for name, one in numbers.items()},
        against_zero_shot=against,
        method=condition.method,
    )


def _faithfulness(
    answers: Sequence[Answers],
    numbers: Sequence[Numbers],
    alone: Mapping[PromptWording, Numbers],
    metric: str,
) -> tuple[Faithfulness, ...]:
    found = []
    scores: dict[tuple[str, Kind], list[Any]] = {}
    for one, own in zip(answers, numbers, strict=True):
        scores.setdefault((one.condition.name, one.condition.kind), []).append(own[metric])
    for one in answers:
        if one.condition.kind == "prompt" and (one.condition.name, "discretised") in scores:
            name = one.condition.name
            found.append(
                faithfulness(
                    name,
                    metric,
                    soft=scores[name, "prompt"][0],
                    zero_shot=alone[one.condition.wording][metric],
                    discretised=scores[name, "discretised"][0],
                    shuffled=scores[name, "shuffled"],
                    random_tokens=scores[name, "random_tokens"],
                )
            )
    return tuple(found)


def _value(measures: Mapping[str, Estimate], name: str) -> float | None:
    return measures[name].value if name in measures else None


def _intervals(measures: Mapping[str, Estimate]) -> dict[str, list[float]]:
    return {name: list(measure.ends) for name, measure in measures.items()}
