"""A tiny model and task on disk, and a few runs that are over at once."""

from __future__ import annotations

import pytest

from probe.studies.specs import RunSpec, StudySettings
from probe.training import TrainConfig

SHARED = StudySettings(validation_examples=8, test_examples=10, device="cpu", dtype="float32")


@pytest.fixture
def asked(model, task):
    """Six runs that differ in length and seed."""
    return [
        RunSpec(
            model, task, TrainConfig(steps=4, length=length, seed=seed, batch_size=4, eval_every=0)
        )
        for length in (2, 3)
        for seed in range(3)
    ]
