"""The γ that is chosen for each target of a waywardness study, on validation data.

Khashabi et al. 2021, "Prompt Waywardness: The Curious Case of Discretized Interpretation of
Continuous Prompts" (arXiv:2112.08348), §4.1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np

from probe.arrays import Float64Array

F1_WANTED = 0.98
"""A prompt whose F1 is above this says its target (Khashabi et al. 2021, §4.1)."""


@dataclass(frozen=True)
class WaywardRun:
    """One trained prompt, beside the text it was constrained to: one row of the results."""

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


class ChosenGamma(NamedTuple):
    """A choice with its seeds' numbers: baseline accuracy, wayward accuracy, F1, F1 at γ = 0."""

    choice: Choice
    numbers: Float64Array
    """[seeds, 4]."""
    baselines: tuple[WaywardRun, ...]
    """[seeds]."""


def choose_gammas(runs: Sequence[WaywardRun]) -> list[ChosenGamma]:
    """The choice for every target that has a baseline and any γ > 0 on the same seeds."""
    found = (_choose(group, own) for (group, _), own in sorted(_by_target(runs).items()))
    return [one for one in found if one is not None]


def _by_target(
    runs: Sequence[WaywardRun],
) -> Mapping[tuple[Group, tuple[str, str]], list[WaywardRun]]:
    found: dict[tuple[Group, tuple[str, str]], list[WaywardRun]] = defaultdict(list)
    for run in runs:
        found[Group(run.model, run.task, run.init), (run.kind, run.target)].append(run)
    return found


def _choose(group: Group, runs: Sequence[WaywardRun]) -> ChosenGamma | None:
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
    return ChosenGamma(choice, numbers, tuple(one for one, _ in pairs))


def relative_drop(baseline: float, wayward: float) -> float | None:
    """Δ = (baseline − wayward) / baseline (Khashabi et al. 2021, §4.1); None at baseline 0."""
    return (baseline - wayward) / baseline if baseline else None


@dataclass(frozen=True)
class Solved:
    """Baselines beside the model alone and the most frequent label, as far as these are known.

    What it costs to constrain a prompt to a text means something only where the prompt without that
    constraint does the task: better than both.
    """

    zero_shot_accuracy: float | None = None
    majority_accuracy: float | None = None
    gain: float | None = None
    """Mean accuracy of the baselines minus that of the model alone."""
    gain_interval: tuple[float, float] | None = None
    """95 % over the examples: the mean of the baselines' own intervals. As they share their
    examples, that of the mean is no wider."""
    solved: bool | None = None
    """Whether the gain's interval lies above 0, and that of the accuracy above the share of the
    most frequent label; None where the study does not tell."""


def judge_baselines(baselines: Sequence[WaywardRun]) -> Solved:
    """Whether baselines of one model and task, prompts constrained to nothing, solve it."""
    alone = _mean(one.zero_shot_accuracy for one in baselines)
    majority = _mean(one.majority_accuracy for one in baselines)
    low = _mean(one.gain_low for one in baselines)
    high = _mean(one.gain_high for one in baselines)
    accuracy = fmean(one.test_accuracy for one in baselines)
    return Solved(
        zero_shot_accuracy=alone,
        majority_accuracy=majority,
        gain=None if alone is None else accuracy - alone,
        gain_interval=None if low is None or high is None else (low, high),
        solved=None if low is None else low > 0 and _beats(baselines, majority),
    )


def _beats(baselines: Sequence[WaywardRun], majority: float | None) -> bool:
    low = _mean(one.accuracy_low for one in baselines)
    return majority is None or low is None or low > majority


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
