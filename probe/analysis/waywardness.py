"""Do prompts constrained to any text still solve the task? The protocol of Prompt Waywardness.

Khashabi et al. 2021, "Prompt Waywardness: The Curious Case of Discretized Interpretation of
Continuous Prompts" (arXiv:2112.08348), §3 and §4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.analysis.wayward_choice import F1_WANTED as F1_WANTED
from probe.analysis.wayward_choice import Choice as Choice
from probe.analysis.wayward_choice import ChosenGamma, Group, choose_gammas, judge_baselines
from probe.analysis.wayward_choice import WaywardRun as WaywardRun
from probe.arrays import Float64Array
from probe.bootstrap import RESAMPLES, Estimate, percentiles
from probe.results import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableRow:
    """One row of the main table: means over targets, with intervals over targets and seeds."""

    model: str
    parameters: int
    task: str
    init: str
    kind: str
    """`all`, or one kind of target."""
    targets: int
    seeds: int
    """Fewest seeds of a target."""
    saying_target: int
    """Targets that some γ reached with a mean F1 above 0.98."""
    baseline_accuracy: Estimate
    wayward_accuracy: Estimate
    delta: Estimate | None
    f1: Estimate
    f1_at_zero: Estimate
    zero_shot_accuracy: float | None = None
    """Of the model without a prompt; None where the study does not tell."""
    majority_accuracy: float | None = None
    """Of always giving the most frequent label."""
    gain: Estimate | None = None
    """The baselines' mean accuracy minus that without a prompt, with its interval over examples."""
    solved: bool | None = None
    """Whether the baselines solve the task, see `Solved`."""


@dataclass(frozen=True, eq=False)
class Waywardness(Result):
    """The study: every run, the choice for each target, and the main table."""

    runs: tuple[WaywardRun, ...]
    choices: tuple[Choice, ...]
    table: tuple[TableRow, ...]
    """One row per model, task and initialisation over all targets, then one per kind of target
    where there are several."""
    seed: int
    """Of the intervals."""

    @property
    def has_intervals(self) -> bool:
        """Whether any row has intervals: several seeds or targets give them."""
        return any(row.baseline_accuracy.interval for row in self.table)

    def _rows(self) -> list[dict[str, Any]]:
        """The main table, an interval in two columns."""
        return [_flat(row) for row in self.table]

    def runs_frame(self) -> pd.DataFrame:
        """One row per run."""
        import pandas as pd

        names = [field.name for field in fields(WaywardRun)]
        return pd.DataFrame([asdict(run) for run in self.runs], columns=names)

    def _document(self) -> dict[str, Any]:
        counted = {"runs": len(self.runs), "f1_wanted": F1_WANTED, "resamples": RESAMPLES}
        return {**super()._document(), **counted}


_MEASURES = ("baseline_accuracy", "wayward_accuracy", "delta", "f1", "f1_at_zero")
_ESTIMATES = (*_MEASURES, "gain")
_SEED = 0


def waywardness(runs: Sequence[WaywardRun]) -> Waywardness:
    """Choose γ for each target, and say what the text near which a prompt is held costs.

    For each (model, task, initialisation, target), accuracy and F1 are averaged over seeds. Of all
    γ > 0 with a mean F1 above 0.98 the most accurate on validation data is chosen, else the most
    accurate of all; equals are decided by F1, then by the smaller γ. Test accuracy is reported,
    beside that of γ = 0 with the same P, seeds and steps (Khashabi et al. 2021, §4.1). Targets
    without a baseline, or without any γ > 0 on the same seeds, are left out.

    Intervals hold 95 % of 2,000 resamples of targets and, within each, of seeds; the chosen γ
    stays.

    Args:
        runs: in any order; may be those of a study that is not finished.
    """
    judged = choose_gammas(runs)
    rng = np.random.default_rng(_SEED)
    table = [_row(*key, some, rng) for key, some in _tabled(judged)]
    return Waywardness(tuple(runs), tuple(one.choice for one in judged), tuple(table), _SEED)


def _tabled(judged: Sequence[ChosenGamma]) -> list[tuple[tuple[Group, str], list[ChosenGamma]]]:
    """What each row of the table is the mean of: all targets first, then each kind of several."""
    groups: dict[Group, list[ChosenGamma]] = defaultdict(list)
    for one in judged:
        groups[Group(one.choice.model, one.choice.task, one.choice.init)].append(one)
    whole = [((group, "all"), some) for group, some in groups.items()]
    parts = []
    for group, some in groups.items():
        kinds = sorted({one.choice.kind for one in some})
        for kind in kinds if len(kinds) > 1 else []:
            parts.append(((group, kind), [one for one in some if one.choice.kind == kind]))
    return whole + parts


def _row(
    group: Group, kind: str, some: Sequence[ChosenGamma], rng: np.random.Generator
) -> TableRow:
    choices = [one.choice for one in some]
    resampled = _resampled([one.numbers for one in some], rng)
    means = {
        name: float(np.mean([getattr(choice, name) for choice in choices]))
        for name in _MEASURES
        if all(getattr(choice, name) is not None for choice in choices)
    }
    several = sum(len(one.numbers) for one in some) > 1
    estimates = {
        name: Estimate(value, _interval(resampled[name]) if several else None)
        for name, value in means.items()
    }
    told = judge_baselines([run for one in some for run in one.baselines])
    return TableRow(
        model=group.model,
        parameters=choices[0].parameters,
        task=group.task,
        init=group.init,
        kind=kind,
        targets=len(choices),
        seeds=min(choice.seeds for choice in choices),
        saying_target=sum(choice.says_target for choice in choices),
        zero_shot_accuracy=told.zero_shot_accuracy,
        majority_accuracy=told.majority_accuracy,
        gain=None if told.gain is None else Estimate(told.gain, told.gain_interval),
        solved=told.solved,
        **{"delta": None, **estimates},  # type: ignore[arg-type]
    )


def _resampled(
    numbers: Sequence[Float64Array], rng: np.random.Generator
) -> dict[str, Float64Array]:
    """Each measure on 2,000 resamples of targets and of seeds within them, [resamples].

    A baseline and the wayward prompt of one seed stay together, and so do a target's measures.
    """
    by_target = []
    for own in numbers:
        drawn = rng.integers(len(own), size=(RESAMPLES, len(own)))
        base, wayward, f1, f1_at_zero = own[drawn].mean(axis=1).T
        with np.errstate(divide="ignore", invalid="ignore"):
            by_target.append([base, wayward, (base - wayward) / base, f1, f1_at_zero])
    stacked = np.array(by_target)  # [targets, measures, resamples]
    targets = rng.integers(len(stacked), size=(RESAMPLES, len(stacked)))
    means = stacked[targets, :, np.arange(RESAMPLES)[:, None]].mean(axis=1)
    return dict(zip(_MEASURES, means.T, strict=True))


def _interval(resampled: Float64Array) -> tuple[float, float]:
    """Of the resamples in which the baselines are right at all: Δ has no value in others."""
    return percentiles(resampled[np.isfinite(resampled)])


def _flat(row: TableRow) -> dict[str, Any]:
    flat = {name: value for name, value in asdict(row).items() if name not in _ESTIMATES}
    for name in _ESTIMATES:
        one: Estimate | None = getattr(row, name)
        flat[name] = None if one is None else one.value
        ends = (one and one.interval) or (None, None)
        flat[f"{name}_low"], flat[f"{name}_high"] = ends
    return flat
