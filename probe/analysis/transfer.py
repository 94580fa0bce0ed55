"""Prompts on tasks they were not trained for, and whether similarity tells how well they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from probe.analysis.rank_agreement import kendall, spearman
from probe.arrays import Float64Array
from probe.results import Result

LEAST = 3
"""Sources a target needs: two points always correlate."""


@dataclass(frozen=True)
class TransferCell:
    """One prompt on one task."""

    prompt: str
    task: str
    score: float
    """The task's metric, higher is better."""
    interval: tuple[float, float]
    gain: float
    """Over the model alone, asked in the same words."""
    gain_interval: tuple[float, float]
    """Paired over the examples."""


@dataclass(frozen=True)
class TransferTask:
    """A column of the matrix."""

    name: str
    metric: str
    n: int
    """Examples."""


@dataclass(frozen=True)
class RankCorrelation:
    """Do prompts closer to a target's prompt score higher on the target's task?"""

    measure: str
    same_task: bool
    """Whether prompts trained for the target's own task count as sources."""
    targets: int
    """Prompts with a task and enough sources whose scores and similarities vary."""
    pairs: int
    """Source and target, over all targets."""
    spearman: float | None
    """Mean over the targets; above 0, closer prompts transfer better. None without targets."""
    kendall: float | None
    """The same of Kendall's τ-b."""
    p_value: float | None
    """Of the mean Spearman correlation, two-sided, by permuting the prompts (Mantel 1967)."""


@dataclass(frozen=True)
class Transfer(Result):
    """Every prompt on every task, and what similarity tells of it."""

    _left_out: ClassVar[frozenset[str]] = frozenset({"trained_on"})
    prompts: tuple[str, ...]
    trained_on: tuple[str | None, ...]
    """The task of each prompt, where known."""
    tasks: tuple[TransferTask, ...]
    cells: tuple[TransferCell, ...]
    """Prompt by prompt, in the order of the tasks."""
    split: str = "test"
    seed: int = 0
    """Of resamples and permutations."""
    centre: bool = False
    """Whether the mean row of all prompts was subtracted before rows were compared."""
    correlations: tuple[RankCorrelation, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    """Similarity measures these prompts cannot be compared by, and why."""
    notes: tuple[str, ...] = ()
    """What was not done as it might seem: texts that were cut, another base model, …"""

    @property
    def scores(self) -> Float64Array:
        """[N, tasks]."""
        return np.array([cell.score for cell in self.cells]).reshape(len(self.prompts), -1)

    @property
    def gains(self) -> Float64Array:
        """[N, tasks], over the model alone."""
        return np.array([cell.gain for cell in self.cells]).reshape(len(self.prompts), -1)

    def _rows(self) -> list[dict[str, Any]]:
        """One row per prompt and task."""
        rows = []
        for cell in self.cells:
            row: dict[str, Any] = {"prompt": cell.prompt, "task": cell.task, "score": cell.score}
            row |= {"low": cell.interval[0], "high": cell.interval[1], "gain": cell.gain}
            rows.append(row | dict(zip(("gain_low", "gain_high"), cell.gain_interval, strict=True)))
        return rows

    def _document(self) -> dict[str, Any]:
        named = zip(self.prompts, self.trained_on, strict=True)
        return {
            **super()._document(),
            "prompts": [{"name": name, "trained_on": task} for name, task in named],
            "matrix": self.scores,
            "refused": [{"measure": measure, "reason": why} for measure, why in self.refused],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Transfer:
        """What `to_json` wrote."""
        cells = [
            TransferCell(
                **cell | {name: tuple(cell[name]) for name in ("interval", "gain_interval")}
            )
            for cell in document["cells"]
        ]
        return cls(
            prompts=tuple(one["name"] for one in document["prompts"]),
            trained_on=tuple(one["trained_on"] for one in document["prompts"]),
            tasks=tuple(TransferTask(**task) for task in document["tasks"]),
            cells=tuple(cells),
            split=document["split"],
            seed=document["seed"],
            centre=document["centre"],
            correlations=tuple(RankCorrelation(**one) for one in document["correlations"]),
            refused=tuple((one["measure"], one["reason"]) for one in document["refused"]),
            notes=tuple(document.get("notes", ())),
        )


def rank_correlation(
    measure: str,
    similarity: Float64Array,
    scores: Float64Array,
    tasks: Sequence[int | None],
    *,
    same_task: bool,
    permutations: int = 1999,
    seed: int = 0,
) -> RankCorrelation:
    """Rank correlation between similarity to a target's prompt and score on the target's task.

    Su et al. (2022), "On Transferability of Prompt Tuning for NLP", §6: for each target prompt,
    the other prompts are ranked by their similarity to it and by their zero-shot transfer to its
    task; the correlation is averaged over the targets. Targets share prompts, so the p-value
    comes from permuting the prompts of the similarity matrix, rows and columns together.

    Args:
        measure: name of the similarity.
        similarity: [N, N], higher is closer; [i, j] tells of source i and target j.
        scores: [N, tasks].
        tasks: [N] column of each prompt's own task; None where it has none among them.
        same_task: whether prompts of the target's own task count as sources; without them the
            question is about transfer between tasks.
        permutations: of the prompts.
        seed: of the permutations.

    Raises:
        ValueError: the shapes do not fit.
    """
    n = len(scores)
    if similarity.shape != (n, n) or len(tasks) != n:
        raise ValueError(
            f"{n} prompts need similarities of shape {(n, n)} and {n} tasks, found "
            f"{similarity.shape} and {len(tasks)}"
        )
    targets = [
        (j, sources)
        for j, task in enumerate(tasks)
        if task is not None
        and len(sources := _sources(j, tasks, same_task)) >= LEAST
        and np.ptp(scores[sources, task]) > 0
        and np.ptp(similarity[sources, j]) > 0
    ]
    pairs = sum(len(sources) for _, sources in targets)
    if not targets:
        return RankCorrelation(measure, same_task, 0, 0, None, None, None)
    columns = [(scores[sources, tasks[j]], sources, j) for j, sources in targets]
    each = [(column[None], similarity[sources, j][None]) for column, sources, j in columns]
    found = [(spearman(*pair)[0], kendall(*pair)[0]) for pair in each]
    mean_spearman, mean_kendall = (float(mean) for mean in np.mean(found, axis=0))
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(n), (permutations, 1)), axis=1)
    drawn = np.zeros(permutations)
    for column, sources, j in columns:
        drawn += spearman(column[None], similarity[orders[:, sources], orders[:, j, None]])
    # A permutation that is the identity must count as no less extreme, whatever the rounding.
    extreme = np.abs(drawn / len(columns)) >= abs(mean_spearman) - 1e-12
    p_value = (1 + extreme.sum()) / (1 + permutations)
    return RankCorrelation(
        measure, same_task, len(targets), pairs, mean_spearman, mean_kendall, float(p_value)
    )


def _sources(target: int, tasks: Sequence[int | None], same_task: bool) -> list[int]:
    return [
        i for i in range(len(tasks)) if i != target and (same_task or tasks[i] != tasks[target])
    ]
