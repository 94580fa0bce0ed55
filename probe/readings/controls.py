"""What readings say of prompts that were trained on nothing: how strong noise looks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probe.prompt import AnyPrompt
from probe.readings.hit_rates import Rates
from probe.vocabulary import Vocabulary

_FILE = Path(__file__).parent / "controls.json"
CONTROL_ROWS = 8
"""Of every control."""
TRAINING = {"objective": "distill", "steps": 60, "learning_rate": 0.02}
"""Of every control, as a prompt's file says it."""
LENGTHS = range(4, 17)
"""Rows of prompts that controls of 8 rows are compared with."""
_FEWEST = 40
"""Controls of a user's own study below which nothing is judged by them."""


@cache
def measured() -> dict[str, Any]:
    """Every control's statistic, with the model and the digest of its table."""
    found: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def control_statistics(
    reading: str, vocabulary: Vocabulary, length: int, counted: Sequence[Rates] = ()
) -> NDArray[np.float64] | None:
    """Best scores of a reading of prompts trained on nothing; None where there are none like it.

    Args:
        reading: its name.
        vocabulary: of the base model; its table must be the one controls were trained on.
        length: rows of the prompt, P.
        counted: what studies of readings found on this model.
    """
    if length not in LENGTHS:
        return None
    shipped = measured()
    if vocabulary.fingerprint == shipped["table_sha256"] and reading in shipped["statistics"]:
        return np.array(shipped["statistics"][reading])
    own = [found for one in counted if (found := _own(one, reading)) is not None]
    return max(reversed(own), key=len, default=None)


def trained_as_controls(prompt: AnyPrompt) -> bool:
    """Whether a prompt's file says that it was distilled at the controls' rate for their updates.

    How far rows move and how much they change the model grows with both, whatever was learned.
    """
    training = prompt.config.get("training")
    return isinstance(training, dict) and training.items() >= TRAINING.items()


def _own(counted: Rates, reading: str) -> NDArray[np.float64] | None:
    values = counted.get("controls", {}).get(reading, ())
    return np.array(values, dtype=np.float64) if len(values) >= _FEWEST else None


class Judged(NamedTuple):
    """What a reading is worth beside its control; all None where nothing says what that gives."""

    p: float | None = None
    """Chance that a control's reading is as strong."""
    control: str | None = None
    """What the reading was compared with, in words."""
    control_95: float | None = None
    """The 95th percentile of the controls' best scores."""


def judged(statistic: float, controls: NDArray[np.float64] | None) -> Judged:
    """A statistic beside those of prompts trained on nothing."""
    if controls is None:
        return Judged()
    named = f"{len(controls)} prompts trained on nothing"
    return Judged(p_value(statistic, controls), named, float(np.quantile(controls, 0.95)))


def p_value(statistic: float, controls: NDArray[np.float64]) -> float:
    """Chance that a control is as strong, the prompt counted as one of them."""
    return float((1 + np.count_nonzero(controls >= statistic)) / (len(controls) + 1))
