"""How often a reading found the text that a prompt was distilled from, on a model where counted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from probe.results import Result
from probe.vocabulary import Vocabulary

_FILE = Path(__file__).parent / "hit_rates.json"
SCORER = "overlap"
"""By the content words of a text among a reading's words; the other scorer is `semantic`."""


@dataclass(frozen=True)
class HitRate(Result):
    """Share of known texts that a reading ranked first among all of them."""

    model: str
    condition: str
    """Under which prompts were trained; `docs/readings.md` lists them."""
    scorer: str
    top1: float
    interval: tuple[float, float]
    """95 %, over texts."""
    texts: int
    prompts: int

    @property
    def named(self) -> int:
        """Texts found, out of all."""
        return round(self.top1 * self.texts)

    @property
    def chance(self) -> float:
        """Share that words at random would find."""
        return 1 / self.texts

    @property
    def sentence(self) -> str:
        """The rate in words."""
        return (
            f"This reading named {self.named} of {self.texts} known texts that were distilled on "
            "this model (chance 1)."
        )

    def _document(self) -> dict[str, Any]:
        return {**super()._document(), "named": self.named, "chance": self.chance}


@cache
def measured() -> dict[str, Any]:
    """Every rate that was counted, with the model and the digest of its table."""
    found: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def hit_rate(reading: str, vocabulary: Vocabulary, length: int) -> HitRate | None:
    """The rate of a reading on prompts of about this length; None on other models.

    Args:
        reading: its name.
        vocabulary: of the base model; its table must be the one rates were counted with.
        length: rows of the prompt, P.
    """
    counted = measured()
    if vocabulary.fingerprint != counted["table_sha256"]:
        return None
    condition = _condition(length)
    for rate in counted["rates"]:
        if (rate["condition"], rate["reading"], rate["scorer"]) == (condition, reading, SCORER):
            top1 = rate["top1"]
            low, high = top1["interval"]
            sizes = (rate["texts"], rate["prompts"])
            return HitRate(counted["model"], condition, SCORER, top1["value"], (low, high), *sizes)
    return None


def _condition(length: int) -> str:
    """The condition whose length, 1, 8 or 20 rows, is nearest by ratio."""
    if length <= 2:
        return "length_1"
    return "base" if length <= 12 else "length_20"
