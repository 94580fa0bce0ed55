"""What a sweep would do, and how long it would take: two steps of one pack, measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from probe.results import Result
from probe.studies.cache import ResultCache
from probe.studies.sources import model_of, task_of
from probe.studies.specs import KeyedRun, Pack, StudySettings, packs_of
from probe.training import train


@dataclass(frozen=True)
class StudyPlan(Result):
    """A sweep that was not made."""

    runs: int
    """Asked for, of which some may share one training."""
    trainings: int
    """Different ones."""
    found: int
    """Of these, how many had been trained before."""
    packs: int
    at_once: int
    updates: int
    """Of all prompts together, that are still to be made."""
    update_s: float | None
    """Of one prompt, in the second step of a pack, or its only one; None where nothing is to be
    trained."""
    estimate_s: float
    """All updates, in this process, without preparing examples and scoring prompts."""


def dry_run(
    runs: Sequence[KeyedRun], shared: StudySettings, cache: ResultCache, *, at_once: int
) -> StudyPlan:
    """Count what is to be done, make two steps of one pack, and keep nothing.

    Raises:
        ProbeError: the runs could not be done as they are asked for.
    """
    wanted = {run.key: run for run in runs}
    missing = [run for key, run in wanted.items() if cache.get(key) is None]
    packs = packs_of(missing, shared, at_once=at_once)
    updates = sum(pack.updates for pack in packs)
    # The one in the middle of an order by length.
    update_s = _update_s(packs[len(packs) // 2]) if packs else None
    return StudyPlan(
        runs=len(runs),
        trainings=len(wanted),
        found=len(wanted) - len(missing),
        packs=len(packs),
        at_once=at_once,
        updates=updates,
        update_s=update_s,
        estimate_s=updates * (update_s or 0.0),
    )


def _update_s(pack: Pack) -> float:
    model = model_of(pack.model, pack.shared.device, pack.shared.dtype)
    tasks = [task_of(run.spec, pack.shared) for run in pack.runs]
    training = train(model, tasks, [run.spec.config for run in pack.runs])
    ends = [time.perf_counter()]
    for step in training:
        if step.step == len(ends):  # the first record of a step: all prompts have made it
            ends.append(time.perf_counter())
        if len(ends) > 2:
            break
    return (ends[-1] - ends[-2]) / len(pack.runs)
