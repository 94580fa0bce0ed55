"""Grids of runs, from a TOML file or by name, and their rows made of what they left."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from probe.analysis.grids import GridRun, grid_result
from probe.datasets import task_name
from probe.datasets.rows import read_text
from probe.errors import TrainingError
from probe.paths import at_home
from probe.prompt import AnyPrompt
from probe.studies.specs import RunSpec, Study, StudySettings
from probe.tables import default_model
from probe.texts import did_you_mean
from probe.training import TrainConfig
from probe.training.checks import require_evaluations

_SHIPPED = Path(__file__).parent / "grids"
_COLUMNS = ("method", "length", "init", "learning_rate", "seed")


_MOST_RUNS = 100_000


@dataclass(frozen=True)
class Grid:
    """Models × tasks × folds × seeds × every combination of the grid's values."""

    models: tuple[str, ...] = field(default_factory=lambda: (default_model(),))
    tasks: tuple[str, ...] = ()
    seeds: int = 1
    """Runs of each setting that differ in nothing but the seed: 0, 1, …"""
    folds: int | None = None
    """Parts of a cross-validation of every run; None: the task's own validation split."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainConfig` that all runs share."""
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Fields of `TrainConfig` with the values each is to take."""


@dataclass(frozen=True)
class GridPoint:
    """One run of a grid."""

    spec: RunSpec
    varied: Mapping[str, Any]
    """What the grid varies, without the fields that have a column of their own."""


def named_grids() -> tuple[str, ...]:
    """The studies that come with `probe`."""
    return tuple(sorted(path.stem for path in _SHIPPED.iterdir()))


def read_grid(source: str | Path) -> Grid:
    """A named study or a TOML file with the fields of `Grid`.

    Raises:
        TrainingError: there is no such study or file, or it is no grid.
    """
    path = _SHIPPED / f"{source}.toml" if source in named_grids() else at_home(source)
    if path.suffix != ".toml" or not path.is_file():
        raise TrainingError(
            f"grid {source}: expected one of {', '.join(named_grids())}, or a TOML file"
            f"{did_you_mean(str(source), named_grids())}"
        )
    try:
        values = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TrainingError(f"{path}: expected TOML ({error})") from error
    return grid_of(values, str(path))


def grid_of(values: Mapping[str, Any], where: str) -> Grid:
    """The grid that a document describes.

    Raises:
        TrainingError: a key is unknown or a value of the wrong kind.
    """
    checks: dict[str, Any] = {
        "models": _texts,
        "tasks": _texts,
        "seeds": lambda value: isinstance(value, int) and value > 0,
        "folds": lambda value: isinstance(value, int) and value > 1,
        "training": lambda value: isinstance(value, Mapping),
        "grid": lambda value: isinstance(value, Mapping) and all(map(_filled, value.values())),
    }
    for key, value in values.items():
        if key not in checks:
            raise TrainingError(
                f"{where}: expected the keys {', '.join(checks)}, found {key}"
                f"{did_you_mean(key, checks)}"
            )
        if not checks[key](value):
            raise TrainingError(
                f"{where}: {key} cannot be {value!r}: see `probe sweep` in the docs"
            )
    lists = {key: tuple(values[key]) for key in ("models", "tasks") if key in values}
    return Grid(**{**values, **lists})


def grid_points(grid: Grid) -> list[GridPoint]:
    """Every run of a grid.

    Raises:
        TrainingError: there is no task, a field is unknown, varied and fixed at once, or a value is
            out of its range.
    """
    if not grid.tasks:
        raise TrainingError('a grid needs tasks: name one, as tasks = ["mood"] or --task mood')
    if both := sorted(set(grid.grid) & set(grid.training)):
        raise TrainingError(f"{both[0]} stands under training and under grid: leave one out")
    seeds = {} if "seed" in grid.grid or "seed" in grid.training else {"seed": range(grid.seeds)}
    axes: dict[str, Sequence[Any]] = {**grid.grid, **seeds}
    fields = [len(values) for values in axes.values()]
    require_doable([*fields, grid.folds or 1, len(grid.models), len(grid.tasks)])
    folds = [None] if grid.folds is None else [(i, grid.folds) for i in range(grid.folds)]
    found = []
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        # One validation, at the end: the pack scores it, on the sampled examples.
        config = TrainConfig.from_dict({"eval_every": 0} | dict(grid.training) | chosen)
        require_evaluations(config)
        varied = {key: value for key, value in chosen.items() if key not in _COLUMNS}
        for model, task, fold in itertools.product(grid.models, grid.tasks, folds):
            found.append(GridPoint(RunSpec(model, task, config, fold), varied))
    return found


def sweep_study(request: Mapping[str, Any]) -> Study:
    """The sweep that was asked for, its models and tasks read.

    Args:
        request: the fields of a grid, those of `StudySettings` as `shared`, and the `question`.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    from probe.studies.sources import keyed  # torch comes with it, and is not needed to refuse

    fields = dict(request)
    settings, question = StudySettings(**fields.pop("shared")), fields.pop("question")
    own = grid_points(Grid(**fields))
    return Study(
        settings,
        tuple(keyed([point.spec for point in own], settings)),
        row=lambda number, prompt, file: grid_run_of(own[number], prompt, file),
        summarise=lambda rows: grid_result(rows, question=question),
    )


def require_doable(choices: Iterable[int]) -> None:
    """Refuse a study of more runs than anybody can train, before they are listed.

    Args:
        choices: how many there are of each kind; every combination is a run.

    Raises:
        TrainingError: there are too many.
    """
    runs = math.prod(choices)
    if runs > _MOST_RUNS:
        raise TrainingError(
            f"expected a study of at most {_MOST_RUNS:,} runs, found {runs:,}: ask for fewer seeds "
            "or fewer values"
        )


def grid_run_of(point: GridPoint, prompt: AnyPrompt, file: str) -> GridRun:
    """One row of the results: what a run stands for, and what it left in a file."""
    scores, config = prompt.metrics, point.spec.config
    metric = str(scores["metric"])
    return GridRun(
        model=point.spec.model,
        parameters=scores["parameters"],
        task=task_name(point.spec.task),  # one found again may be of another with the same rows
        method=config.method,
        length=len(prompt),
        init=config.init,
        learning_rate=prompt.config["training"]["learning_rate"],
        varied=point.varied,
        seed=config.seed,
        fold=None if point.spec.fold is None else point.spec.fold[0] + 1,
        metric=metric,
        validation_score=scores[f"validation_{metric}"],
        test_score=scores.get(f"test_{metric}", scores[f"validation_{metric}"]),
        test_loss_nats=scores.get("test_loss_nats"),
        trained_parameters=scores["trained_parameters"],
        run_s=scores["run_s"],
        steps=scores["steps"],
        stopped=scores["stopped"],
        prompt=file,
    )


def _texts(value: object) -> bool:
    return _filled(value) and all(isinstance(one, str) for one in value)


def _filled(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple) and len(value) > 0
