"""Tiny random models, made once, and a task for them."""

from __future__ import annotations

import pytest

from probe.models import load_model
from tests import tiny


@pytest.fixture(scope="session")
def causal(tmp_path_factory):
    return load_model(tiny.save_causal(tmp_path_factory.mktemp("causal")), device="cpu")


@pytest.fixture(scope="session")
def encoder_decoder(tmp_path_factory):
    return load_model(tiny.save_encoder_decoder(tmp_path_factory.mktemp("t5")), device="cpu")


@pytest.fixture(scope="session")
def masked(tmp_path_factory):
    return load_model(tiny.save_masked(tmp_path_factory.mktemp("bert")), device="cpu")


@pytest.fixture(scope="session")
def task():
    return tiny.task(40, validation=12)
