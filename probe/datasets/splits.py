"""A validation split and samples that never change, whatever a run's seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from probe.task import Example

SHARE = 0.1
"""Of the training examples, when a task has no validation examples of its own."""


def split_validation(
    examples: Sequence[Example], *, share: float = SHARE, seed: int = 0
) -> tuple[list[Example], list[Example]]:
    """Split examples into training and validation ones, in their order.

    Texts are ranked by a hash, label by label, and the first `share` of each label's different
    texts goes to validation. So the split is the same for any order of the rows, hardly changes
    when rows are added, keeps the labels' shares, and never has one text on both sides.

    Returns:
        Training and validation examples; validation is empty where the share is 0, or where every
        label has one text only.
    """
    by_label: dict[int | None, dict[str, None]] = {}
    seen: set[str] = set()
    for example in examples:
        if example.text not in seen:  # a text with two labels counts with its first
            seen.add(example.text)
            by_label.setdefault(example.label, {})[example.text] = None
    least = 1 if share else 0
    taken: set[str] = set()
    for texts in by_label.values():
        count = min(max(least, round(share * len(texts))), len(texts) - 1)
        taken.update(sorted(texts, key=lambda text: _rank(text, seed))[:count])
    return (
        [example for example in examples if example.text not in taken],
        [example for example in examples if example.text in taken],
    )


def sample(examples: Sequence[Example], most: int | None) -> Sequence[Example]:
    """At most so many examples from all over, always the same ones, in their order.

    Never the first ones: many files are sorted by label. A smaller sample is part of a larger one.
    """
    if most is None or most >= len(examples):
        return examples
    drawn = np.random.default_rng(0).permutation(len(examples))[:most]
    return [examples[i] for i in sorted(drawn)]


def _rank(text: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()
