"""The runs of a waywardness study, and its rows made of what they left."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from probe.analysis.neighbours import nearest_tokens
from probe.analysis.waywardness import WaywardRun, waywardness
from probe.datasets import load_wording, task_name
from probe.errors import TrainingError
from probe.metrics import prompt_f1, token_match
from probe.prompt import AnyPrompt, SoftPrompt
from probe.requests import GAMMAS
from probe.studies.grid import require_doable
from probe.studies.specs import RunSpec, Study, StudySettings, require_names
from probe.studies.targets import OWN, Target, spread_over_lengths
from probe.tables import load_vocabulary
from probe.tables.named import Stamp, stamp_of
from probe.training import TrainConfig
from probe.training.checks import require_evaluations
from probe.vocabulary import Vocabulary

TARGET_INIT = "target"
"""The start at the target's own embeddings, as in the published code."""


@dataclass(frozen=True)
class WaywardStudy:
    """Task × target × γ × seed × initialisation, on one model or several."""

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    targets: tuple[Target, ...]
    target_count: int | None = None
    """At most so many targets of each kind and task, from short to long; None: all. Texts given
    as `text:WORDS` are all taken."""
    gammas: tuple[float, ...] = GAMMAS
    """γ = 0, the baseline, is always among them, and never alone."""
    seeds: int = 2
    """Runs that differ in nothing but the seed: 0, 1, …"""
    inits: tuple[str, ...] = ("vocab", TARGET_INIT)
    """target: at the target's embeddings; else as `TrainConfig.init`."""
    training: Mapping[str, Any] = field(default_factory=lambda: {"steps": 300})
    """Further fields of `TrainConfig` for every run: steps, batch_size, learning_rate, …"""

    def __post_init__(self) -> None:
        if not any(self.gammas):
            raise TrainingError(
                "a waywardness study needs a γ above 0 beside the baseline: give one, as 0.1"
            )


def study_of(settings: Mapping[str, Any]) -> tuple[WaywardStudy, StudySettings]:
    """The study of such settings.

    Raises:
        TrainingError: they are not those of a waywardness study.
    """
    fields = dict(settings)
    try:
        shared = StudySettings(**fields.pop("shared"))
        texts = tuple(Target(**one) for one in fields.pop("targets"))
        listed = {key: tuple(fields[key]) for key in ("models", "tasks", "gammas", "inits")}
        return WaywardStudy(**fields | listed | {"targets": texts}), shared
    except (KeyError, TypeError) as error:
        raise TrainingError(f"the study's settings cannot be read ({error})") from error


def wayward_study(request: Mapping[str, Any]) -> Study:
    """The study of such settings, its models and tasks read.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    from probe.studies.sources import keyed  # torch comes with it, and is not needed to refuse

    study, settings = study_of(request)
    own = points(study)
    return Study(
        settings,
        tuple(keyed([point.spec for point in own], settings)),
        row=lambda number, prompt, file: run_of(own[number], prompt, file),
        summarise=waywardness,
    )


@dataclass(frozen=True)
class Point:
    """One run of the study and what it stands for."""

    spec: RunSpec
    target: Target
    ids: tuple[int, ...]
    """Token ids of the target, [P]."""
    gamma: float
    seed: int
    init: str


def points(study: WaywardStudy) -> list[Point]:
    """Every run of a study, baselines first.

    Without its γ a target changes nothing but the prompt's length, so baselines of targets of one
    length are one run, unless they start at the target.

    Raises:
        TrainingError: there are no targets for a task, it has no labels, another has its name, or
            an option is wrong.
        ProbeError: a model's table or a task cannot be read.
    """
    require_names(study.tasks)
    gammas = sorted({0.0, *study.gammas})
    require_doable(
        [len(study.models), len(study.tasks), len(gammas), len(study.inits), study.seeds]
    )
    found = []
    for model in study.models:
        vocabulary = vocabulary_of(model)
        for task in study.tasks:
            for target in _chosen(study, task, vocabulary):
                ids = tuple(vocabulary.encode(target.text))
                found += [
                    Point(RunSpec(model, task, config), target, ids, gamma, seed, init)
                    for gamma, seed, init, config in _configs(study, target, len(ids))
                ]
    return found


def run_of(point: Point, prompt: AnyPrompt, file: str) -> WaywardRun:
    """One row of the results: what a run stands for, and what it left in a file.

    Raises:
        TrainingError: the prompt is not one of rows.
    """
    if not isinstance(prompt, SoftPrompt):
        raise TrainingError(f"{prompt.name} is a prefix: it has no distance to a text")
    vocabulary = vocabulary_of(point.spec.model)
    near = nearest_tokens(prompt.embeddings, vocabulary, "l2", k=1).ids[:, 0]  # Khashabi §3
    decoded = vocabulary.decode([int(i) for i in near])
    away = prompt.embeddings.astype(np.float64) - vocabulary.rows(list(point.ids))
    scores = prompt.metrics
    split = "test" if "test_accuracy" in scores else "validation"
    # Runs that were kept before these were noted have none.
    accuracy_low, accuracy_high = scores.get(f"{split}_accuracy_interval") or (None, None)
    gain_low, gain_high = scores.get(f"{split}_accuracy_gain_interval") or (None, None)
    return WaywardRun(
        model=point.spec.model,
        parameters=scores["parameters"],
        task=task_name(point.spec.task),  # one found again may be of another with the same rows
        kind=point.target.kind,
        target=point.target.text,
        tokens=len(point.ids),
        gamma=point.gamma,
        seed=point.seed,
        init=point.init,
        validation_accuracy=scores["validation_accuracy"],
        test_accuracy=scores[f"{split}_accuracy"],
        f1=prompt_f1(decoded, point.target.text),
        token_match=token_match(near.tolist(), point.ids),
        decoded=decoded,
        distance=float(np.square(away).sum(axis=1).mean()),
        validation_loss_nats=_number(scores["validation_loss_nats"]),
        test_loss_nats=_number(scores.get("test_loss_nats")),
        train_loss_nats=_number(scores.get("train_loss_nats")),
        steps=scores["steps"],
        stopped=scores["stopped"],
        prompt=file,
        zero_shot_accuracy=scores.get(f"{split}_zero_shot_accuracy"),
        majority_accuracy=scores.get(f"{split}_majority_accuracy"),
        accuracy_low=accuracy_low,
        accuracy_high=accuracy_high,
        gain_low=gain_low,
        gain_high=gain_high,
    )


def vocabulary_of(model: str) -> Vocabulary:
    """A model's tokens and table; several at a time, for their tables are mapped, not read."""
    return _read_vocabulary(model, stamp_of(model))


@lru_cache(maxsize=4)
def _read_vocabulary(model: str, _: Stamp) -> Vocabulary:
    return load_vocabulary(model)


def _chosen(study: WaywardStudy, task: str, vocabulary: Vocabulary) -> list[Target]:
    wording = load_wording(task)
    if wording.kind != "classification":
        raise TrainingError(
            f"task {wording.name} has no labels, and waywardness is about accuracy: choose a "
            "classification task"
        )
    fitting = [one for one in study.targets if one.task in (None, wording.name)]
    if not fitting:
        raise TrainingError(f"no target is for task {wording.name}: add a set for every task")
    kinds = dict.fromkeys(target.kind for target in fitting)
    return [
        target
        for kind in kinds
        for target in spread_over_lengths(
            [one for one in fitting if one.kind == kind],
            lambda text: len(vocabulary.encode(text)),
            None if kind == OWN else study.target_count,
        )
    ]


def _configs(
    study: WaywardStudy, target: Target, length: int
) -> Iterator[tuple[float, int, str, TrainConfig]]:
    """Every γ, seed and start of a target, with the training that this comes to."""
    for init, gamma, seed in itertools.product(
        study.inits, sorted({0.0, *study.gammas}), range(study.seeds)
    ):
        config = TrainConfig.from_dict(
            # The prompt of the last step, not of the best validation: that might be one from
            # before the prompt reached its target.
            {"eval_every": 0}
            | dict(study.training)
            | {"length": length, "seed": seed, "gamma": gamma}
            | {"init": f"text:{target.text}" if init == TARGET_INIT else init}
            | {"target": target.text if gamma else None}
        )
        require_evaluations(config)
        yield gamma, seed, init, config


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
