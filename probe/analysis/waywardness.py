"""Do prompts held near to any text still solve the task? The protocol of Prompt Waywardness.

Khashabi et al. 2021, "Prompt Waywardness: The Curious Case of Discretized Interpretation of
Continuous Prompts" (arXiv:2112.08348), §3 and §4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from probe.analysis.solved import judge_baselines
from probe.arrays import Float64Array

if TYPE_CHECKING:
    import pandas as pd

F1_WANTED = 0.98
"""A prompt whose F1 is above this says its target (Khashabi et al. 2021, §4.1)."""
RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class WaywardRun:
    """One trained prompt, beside the text it was held near to: one row of the results."""

    model: str
    parameters: int
    """Of the frozen model."""
    task: str
    kind: str
    """What sort of text the target is: instruction, web, true, contradictory, or a file's name."""
    target: str
    tokens: int
    """Of the target, and virtual tokens of the prompt: P."""
    gamma: float
    seed: int
    init: str
    """target: the prompt started at the target's embeddings; vocab: at sampled tokens; …"""
    validation_accuracy: float
    test_accuracy: float
    f1: float
    """Of the nearest tokens' text against the target; see `prompt_f1`."""
    token_match: float
    decoded: str
    distance: float
    """(1/P) Σ ‖pᵢ − e(tᵢ)‖², the objective's second term."""
    validation_loss_nats: float
    test_loss_nats: float
    train_loss_nats: float
    """Of the last batch."""
    steps: int
    stopped: str
    """finished, or diverged: …"""
    prompt: str
    """The prompt's file."""
    zero_shot_accuracy: float | None = None
    """Of the model without a prompt, on the same test examples; None, as all below, in studies
    that were made before it was kept."""
    majority_accuracy: float | None = None
    """Of always giving the most frequent label of the test examples."""
    accuracy_low: float | None = None
    """95 % interval of the test accuracy over the examples."""
    accuracy_high: float | None = None
    gain_low: float | None = None
    """95 % interval over the examples of what is gained over the model without a prompt."""
    gain_high: float | None = None


class Group(NamedTuple):
    """What a comparison keeps fixed besides the target."""

    model: str
    task: str
    init: str


@dataclass(frozen=True)
class Estimate:
    """A mean with the interval that 95 % of resamples fall in."""

    value: float
    interval: tuple[float, float] | None
    """None of a single run, which says nothing about others."""

    def to_json(self) -> dict[str, Any]:
        """Value and interval."""
        return {"value": self.value, "interval": self.interval and list(self.interval)}


@dataclass(frozen=True)
class Choice:
    """One target: the γ that was chosen on validation data, and means over seeds."""

    model: str
    parameters: int
    task: str
    init: str
    kind: str
    target: str
    tokens: int
    gamma: float
    seeds: int
    says_target: bool
    """Whether some γ gave a mean F1 above 0.98; else the most accurate γ was taken."""
    baseline_accuracy: float
    """Test accuracy at γ = 0, with the same P, seeds and steps."""
    wayward_accuracy: float
    """Test accuracy at the chosen γ."""
    delta: float | None
    """(baseline − wayward) / baseline; None where the baseline is never right."""
    f1: float
    f1_at_zero: float
    """F1 of the baseline: what the prompt says of the target without being asked to."""
    token_match: float
    decoded: str
    """Of the chosen γ's first seed."""
    prompt: str
    """File of that prompt."""


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
    """Whether the baselines solve the task, see `probe.analysis.solved`."""


@dataclass(frozen=True, eq=False)
class Waywardness:
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

    def to_frame(self) -> pd.DataFrame:
        """The main table, an interval in two columns."""
        import pandas as pd

        return pd.DataFrame([_flat(row) for row in self.table])

    def runs_frame(self) -> pd.DataFrame:
        """One row per run."""
        import pandas as pd

        names = [field.name for field in fields(WaywardRun)]
        return pd.DataFrame([asdict(run) for run in self.runs], columns=names)

    def to_json(self) -> dict[str, Any]:
        """Table and choices; the runs are in the Parquet file."""
        return {
            "f1_wanted": F1_WANTED,
            "resamples": RESAMPLES,
            "seed": self.seed,
            "runs": len(self.runs),
            "table": [asdict(row) | _estimates(row) for row in self.table],
            "choices": [asdict(choice) for choice in self.choices],
        }


_MEASURES = ("baseline_accuracy", "wayward_accuracy", "delta", "f1", "f1_at_zero")
_ESTIMATES = (*_MEASURES, "gain")


def waywardness(runs: Sequence[WaywardRun], *, seed: int = 0) -> Waywardness:
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
        seed: of the resamples.
    """
    judged = []
    for (group, _), own in sorted(_by_target(runs).items()):
        found = _judge(group, own)
        if found is not None:
            judged.append(found)
    rng = np.random.default_rng(seed)
    table = [_row(*key, some, rng) for key, some in _tabled(judged)]
    return Waywardness(tuple(runs), tuple(one.choice for one in judged), tuple(table), seed)


class _Judged(NamedTuple):
    """A choice with its seeds' numbers: baseline accuracy, wayward accuracy, F1, F1 at γ = 0."""

    choice: Choice
    numbers: Float64Array
    """[seeds, 4]."""
    baselines: tuple[WaywardRun, ...]
    """[seeds]."""


def _by_target(
    runs: Sequence[WaywardRun],
) -> Mapping[tuple[Group, tuple[str, str]], list[WaywardRun]]:
    found: dict[tuple[Group, tuple[str, str]], list[WaywardRun]] = defaultdict(list)
    for run in runs:
        found[Group(run.model, run.task, run.init), (run.kind, run.target)].append(run)
    return found


def _judge(group: Group, runs: Sequence[WaywardRun]) -> _Judged | None:
    by_gamma: dict[float, dict[int, WaywardRun]] = defaultdict(dict)
    for run in runs:
        by_gamma[run.gamma][run.seed] = run
    baseline = by_gamma.pop(0.0, {})
    # Only γ that have every seed of the baseline: others are still being trained.
    complete = {gamma: own for gamma, own in by_gamma.items() if set(own) >= set(baseline)}
    if not baseline or not complete:
        return None
    seeds = sorted(baseline)
    means = {
        gamma: np.mean([(own[s].validation_accuracy, own[s].f1) for s in seeds], axis=0)
        for gamma, own in complete.items()
    }
    saying = [gamma for gamma, (_, f1) in means.items() if f1 > F1_WANTED]
    gamma = max(saying or means, key=lambda one: (*means[one], -one))
    pairs = [(baseline[s], complete[gamma][s]) for s in seeds]
    numbers = np.array([(b.test_accuracy, w.test_accuracy, w.f1, b.f1) for b, w in pairs])
    base, wayward, f1, f1_at_zero = (float(value) for value in numbers.mean(axis=0))
    first = pairs[0][1]
    choice = Choice(
        model=group.model,
        parameters=first.parameters,
        task=group.task,
        init=group.init,
        kind=first.kind,
        target=first.target,
        tokens=first.tokens,
        gamma=gamma,
        seeds=len(seeds),
        says_target=bool(saying),
        baseline_accuracy=base,
        wayward_accuracy=wayward,
        delta=relative_drop(base, wayward),
        f1=f1,
        f1_at_zero=f1_at_zero,
        token_match=float(np.mean([w.token_match for _, w in pairs])),
        decoded=first.decoded,
        prompt=first.prompt,
    )
    return _Judged(choice, numbers, tuple(one for one, _ in pairs))


def relative_drop(baseline: float, wayward: float) -> float | None:
    """Δ = (baseline − wayward) / baseline (Khashabi et al. 2021, §4.1); None at baseline 0."""
    return (baseline - wayward) / baseline if baseline else None


def _tabled(judged: Sequence[_Judged]) -> list[tuple[tuple[Group, str], list[_Judged]]]:
    """What each row of the table is the mean of: all targets first, then each kind of several."""
    groups: dict[Group, list[_Judged]] = defaultdict(list)
    for one in judged:
        groups[Group(one.choice.model, one.choice.task, one.choice.init)].append(one)
    whole = [((group, "all"), some) for group, some in groups.items()]
    parts = []
    for group, some in groups.items():
        kinds = sorted({one.choice.kind for one in some})
        for kind in kinds if len(kinds) > 1 else []:
            parts.append(((group, kind), [one for one in some if one.choice.kind == kind]))
    return whole + parts


def _row(group: Group, kind: str, some: Sequence[_Judged], rng: np.random.Generator) -> TableRow:
    choices = [one.choice for one in some]
    resampled = _resampled([one.numbers for one in some], rng)
    means = {
        name: float(np.mean([getattr(choice, name) for choice in choices]))
        for name in _MEASURES
        if all(getattr(choice, name) is not None for choice in choices)
    }
    several = sum(len(one.numbers) for one in some) > 1
    estimates = {
        name: Estimate(value, _percentiles(resampled[name]) if several else None)
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


def _percentiles(values: Float64Array) -> tuple[float, float]:
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(values[np.isfinite(values)], [tail, 100 - tail])
    return float(low), float(high)


def _estimates(row: TableRow) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in _ESTIMATES}
    return {name: one if one is None else one.to_json() for name, one in found.items()}


def _flat(row: TableRow) -> dict[str, Any]:
    flat = {name: value for name, value in asdict(row).items() if name not in _ESTIMATES}
    for name in _ESTIMATES:
        one: Estimate | None = getattr(row, name)
        flat[name] = None if one is None else one.value
        ends = (one and one.interval) or (None, None)
        flat[f"{name}_low"], flat[f"{name}_high"] = ends
    return flat
