"""The pages run on models that are loaded once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from probe.models.keeping import keep_models
from probe.readings import plug_in, promoted


@pytest.fixture(scope="package")
def _models_kept() -> Iterator[None]:
    keep_models(3)
    yield
    keep_models(0)


@pytest.fixture
def quick_models(_models_kept: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are kept for the next snippet, and guesses are scored on two contexts, not on all."""
    few = promoted.held_out_contexts()[:2]
    monkeypatch.setattr(plug_in, "held_out_contexts", lambda: few)
