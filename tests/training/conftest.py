"""Tiny random models, made once for all training tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from probe.models import FrozenModel, load_model
from probe.task import Task
from tests import tiny


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small only lose time to a second thread, above all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def causal_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_causal(tmp_path_factory.mktemp("causal"))


@pytest.fixture(scope="session")
def causal(causal_folder: Path) -> FrozenModel:
    return load_model(causal_folder, device="cpu")


@pytest.fixture(scope="session")
def encoder_decoder(tmp_path_factory: pytest.TempPathFactory) -> FrozenModel:
    folder = tiny.save_encoder_decoder(tmp_path_factory.mktemp("t5"))
    return load_model(folder, device="cpu")


@pytest.fixture(scope="session")
def masked(tmp_path_factory: pytest.TempPathFactory) -> FrozenModel:
    return load_model(tiny.save_masked(tmp_path_factory.mktemp("bert")), device="cpu")


@pytest.fixture
def task() -> Task:
    return tiny.task()
