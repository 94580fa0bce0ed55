"""Was a prompt made for rows that the model has since begun to multiply?

Until transformers 5.4 Gemma 1 and 2 multiplied whatever was fed in by the root of H, behind their
embedding layer; since then the layer itself does, and prompts are fed in behind it. A prompt of
before lies at the size of the stored table and runs at 1/√H of the strength it was trained at.
"""

from __future__ import annotations

import numpy as np

from probe.prompt import AnyPrompt, SoftPrompt
from probe.vocabulary import EmbeddingScale

LEAST_FACTOR = 2.0
"""Smaller factors change a prompt's strength less than training does."""


def strength_note(prompt: AnyPrompt, scale: EmbeddingScale) -> str | None:
    """A warning where the norms of a prompt are those of the stored table; None elsewhere.

    They are where they lie nearer to it, by ratio, than to what the model feeds on, and no farther
    below it than that.
    """
    if not isinstance(prompt, SoftPrompt) or scale.factor < LEAST_FACTOR or scale.norm <= 0:
        return None
    stored = scale.norm / scale.factor
    norm = float(np.median(prompt.norms))
    if not 1 / scale.factor < (norm / stored) ** 2 < scale.factor:
        return None
    times = f"{scale.factor:.4g}"
    return (
        f"{prompt.name} has rows of norm {norm:.3g}, as the model's table stores them "
        f"({stored:.3g}), but its embedding layer multiplies them by {times} ({scale.norm:.3g}): a "
        f"prompt made where this was done behind the layer (Gemma before transformers 5.4) runs at "
        f"1/{times} of its strength; multiply its rows by {times} or train it again"
    )
