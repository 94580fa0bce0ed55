"""What a grid of training runs says: means over seeds, what is worth its cost, and two questions.

Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning" (arXiv:2104.08691),
§3.2, asks both of length and size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from probe.arrays import BoolArray, Float64Array
from probe.bootstrap import RESAMPLES, Bootstrap
from probe.results import Result

if TYPE_CHECKING:
    import pandas as pd

Cost = Literal["length", "trained_parameters", "run_s"]
ENOUGH = 0.95
"""Share of a model's best score that counts as having reached it."""
LONG = 20
"""Virtual tokens beyond which Lester et al. (2021, §3.2) found little to gain."""


class SettingKey(NamedTuple):
    """What two runs of a grid share that differ in length, seed or fold at most."""

    model: str
    task: str
    method: str
    init: str
    learning_rate: float
    varied: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class GridRun:
    """One trained prompt of a grid: one row of the results."""

    model: str
    parameters: int
    """Of the frozen model."""
    task: str
    method: str
    length: int
    """Virtual tokens, P."""
    init: str
    learning_rate: float
    varied: Mapping[str, Any]
    """What the grid varies besides, by the names of `TrainConfig`."""
    seed: int
    fold: int | None
    """From 1; None without cross-validation."""
    metric: str
    validation_score: float
    test_score: float
    """The validation score where the task has no test examples."""
    test_loss_nats: float | None
    trained_parameters: int
    """Of the prompt, its encoder among them."""
    run_s: float
    """A pack's time over its prompts."""
    steps: int
    stopped: str
    prompt: str
    """The prompt's file."""

    @property
    def setting(self) -> SettingKey:
        """Everything that runs of one setting share, at whatever length."""
        varied = tuple(sorted((key, str(value)) for key, value in self.varied.items()))
        return SettingKey(self.model, self.task, self.method, self.init, self.learning_rate, varied)

    def flat(self) -> dict[str, Any]:
        """The columns of a table."""
        values = asdict(self)
        return {key: value for key, value in values.items() if key != "varied"} | dict(self.varied)


@dataclass(frozen=True)
class Setting:
    """One point of the grid: means over seeds and folds."""

    model: str
    parameters: int
    task: str
    method: str
    length: int
    init: str
    learning_rate: float
    varied: Mapping[str, Any]
    metric: str
    runs: int
    """Seeds times folds."""
    validation_score: float
    test_score: float
    interval: tuple[float, float] | None
    """Of the test score, over runs; None of a single one."""
    trained_parameters: int
    run_s: float
    worth: bool
    """Whether no other setting of its task scores as well for less, or better for as much."""


@dataclass(frozen=True)
class Answer:
    """What a named study found about one model and task."""

    question: str
    model: str
    parameters: int
    task: str
    length: int
    """The one the answer is about: the best beyond 20, or the fewest tokens that are enough."""
    score: float
    against: float
    """Test score at 20 tokens, or the model's best."""
    difference: float
    interval: tuple[float, float] | None
    """Of the difference, over seeds that both lengths share."""
    runs: int


@dataclass(frozen=True, eq=False)
class GridResult(Result):
    """Every run and setting of a grid."""

    runs: tuple[GridRun, ...]
    settings: tuple[Setting, ...]
    cost: Cost
    """What `worth` weighs scores against."""
    answers: tuple[Answer, ...] = ()
    seed: int = 0
    """Of the resamples."""
    resamples: int = RESAMPLES

    def _rows(self) -> list[dict[str, Any]]:
        """One row per setting."""
        return [_flat(setting) for setting in self.settings]

    def runs_frame(self) -> pd.DataFrame:
        """One row per run."""
        import pandas as pd

        names = [one.name for one in fields(GridRun) if one.name != "varied"]
        rows = [run.flat() for run in self.runs]
        columns = dict.fromkeys([*names, *(key for row in rows for key in row)])
        return pd.DataFrame(rows, columns=list(columns))

    def _document(self) -> dict[str, Any]:
        return {**super()._document(), "runs": len(self.runs)}


def grid_result(runs: Sequence[GridRun], *, question: str | None = None) -> GridResult:
    """Average a grid over seeds and folds, and mark the settings that are worth their cost.

    The cost is the length where it varies, else the trained parameters, else the time. Intervals
    hold 95 % of 2,000 bootstrap resamples of a setting's runs.

    Args:
        runs: in any order.
        question: `length` or `size` adds the answers to a named study.
    """
    groups: dict[tuple[SettingKey, int], list[GridRun]] = defaultdict(list)
    for run in runs:
        groups[run.setting, run.length].append(run)
    cost = _cost(runs)
    means = [_setting(own) for own in groups.values()]
    settings = tuple(replace(one, worth=_worth(one, means, cost)) for one in means)
    answers = () if question is None else tuple(_answers(runs, question))
    return GridResult(tuple(runs), settings, cost, answers)


def pareto(costs: Float64Array, scores: Float64Array) -> BoolArray:
    """Which of n points no other beats: none scores as well for less, or better for as much."""
    cheaper = costs[:, None] <= costs[None, :]
    better = scores[:, None] >= scores[None, :]
    strictly = (costs[:, None] < costs[None, :]) | (scores[:, None] > scores[None, :])
    unbeaten: BoolArray = ~np.any(cheaper & better & strictly, axis=0, keepdims=True)[0]
    return unbeaten


def _worth(one: Setting, every: Sequence[Setting], cost: Cost) -> bool:
    rivals = [other for other in every if (other.task, other.model) == (one.task, one.model)]
    costs = np.array([float(getattr(other, cost)) for other in rivals])
    scores = np.array([other.test_score for other in rivals])
    return bool(pareto(costs, scores)[rivals.index(one)])


def _cost(runs: Sequence[GridRun]) -> Cost:
    if len({run.length for run in runs}) > 1:
        return "length"
    return "trained_parameters" if len({run.trained_parameters for run in runs}) > 1 else "run_s"


def _setting(runs: Sequence[GridRun]) -> Setting:
    first = runs[0]
    scores = np.array([run.test_score for run in runs])
    shared = ("model", "parameters", "task", "method", "length", "init", "learning_rate", "varied")
    return Setting(
        **{name: getattr(first, name) for name in shared},
        metric=first.metric,
        runs=len(runs),
        validation_score=float(np.mean([run.validation_score for run in runs])),
        test_score=float(scores.mean()),
        interval=_interval(scores),
        trained_parameters=first.trained_parameters,
        run_s=float(np.mean([run.run_s for run in runs])),
        worth=False,
    )


def _answers(runs: Sequence[GridRun], question: str) -> list[Answer]:
    groups: dict[SettingKey, dict[int, list[GridRun]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        groups[run.setting][run.length].append(run)
    ask = {"length": _longer, "size": _fewest}[question]
    return [found for own in groups.values() if (found := ask(own)) is not None]


def _longer(by_length: Mapping[int, list[GridRun]]) -> Answer | None:
    """The best length beyond 20, chosen on validation data, against 20 on test data."""
    longer = [length for length in by_length if length > LONG]
    if LONG not in by_length or not longer:
        return None
    best = max(longer, key=lambda one: np.mean([run.validation_score for run in by_length[one]]))
    return _answer("length", by_length[best], by_length[LONG])


def _fewest(by_length: Mapping[int, list[GridRun]]) -> Answer | None:
    """The fewest tokens with 95 % of the best score, both by validation, against the best."""
    means = {
        length: float(np.mean([run.validation_score for run in own]))
        for length, own in by_length.items()
    }
    best = max(means, key=lambda length: (means[length], -length))
    enough = min(length for length, mean in means.items() if mean >= ENOUGH * means[best])
    return _answer("size", by_length[enough], by_length[best])


def _answer(question: str, mine: Sequence[GridRun], other: Sequence[GridRun]) -> Answer | None:
    by_seed = {(run.seed, run.fold): run.test_score for run in other}
    gains = [
        run.test_score - by_seed[run.seed, run.fold]
        for run in mine
        if (run.seed, run.fold) in by_seed
    ]
    if not gains:  # a study that is not finished
        return None
    first = mine[0]
    return Answer(
        question=question,
        model=first.model,
        parameters=first.parameters,
        task=first.task,
        length=first.length,
        score=float(np.mean([run.test_score for run in mine])),
        against=float(np.mean([run.test_score for run in other])),
        difference=float(np.mean(gains)),
        interval=_interval(np.array(gains)),
        runs=len(gains),
    )


def _interval(values: Float64Array) -> tuple[float, float] | None:
    """Of the mean over runs; a single one has none."""
    if len(values) < 2:
        return None
    return Bootstrap(len(values)).estimates(values[:, None])[0].interval


def _flat(setting: Setting) -> dict[str, Any]:
    values = {k: v for k, v in asdict(setting).items() if k not in ("varied", "interval")}
    low, high = setting.interval or (None, None)
    return values | dict(setting.varied) | {"test_score_low": low, "test_score_high": high}
