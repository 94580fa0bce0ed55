"""A tiny model and task on disk, and a few runs that are over at once."""

from __future__ import annotations

import os

import pytest
import torch

from probe.studies import RunSpec, StudySettings
from probe.training import TrainConfig
from tests.trainable import write_model, write_task

SHARED = StudySettings(validation_examples=8, test_examples=10, device="cpu", dtype="float32")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    os.environ["OMP_NUM_THREADS"] = "1"  # for workers
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> str:
    return str(write_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="session")
def task(tmp_path_factory) -> str:
    return str(write_task(tmp_path_factory.mktemp("tasks") / "moods"))


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
