"""Tiny random models, made once for all training tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.models import FrozenModel, load_model
from probe.task import Task
from tests import tiny


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
