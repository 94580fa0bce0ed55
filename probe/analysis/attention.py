"""How much attention texts give a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.arrays import Float64Array
from probe.prompt import AnyPrompt
from probe.protocols import Trace
from probe.results import Result
from probe.task import Example

_BATCH = 32
"""Examples traced at once: a trace keeps the hidden states of every layer."""


@dataclass(frozen=True, eq=False)
class AttentionMass(Result):
    """The share of its attention that a text position gives each prompt position."""

    prompt: str
    n: int
    """Examples."""
    mass: Float64Array
    """[L, P]: mean over heads, text positions and examples; each row sums to 1 at most."""
    uniform: Float64Array
    """[L, P]: what even attention over all visible positions would give."""

    @property
    def whole(self) -> Float64Array:
        """Attention to the prompt as a whole, per layer, [L]."""
        total: Float64Array = self.mass.sum(axis=1)
        return total

    @property
    def by_position(self) -> Float64Array:
        """Mean over layers, [P]."""
        mean: Float64Array = self.mass.mean(axis=0)
        return mean

    def _rows(self) -> dict[str, Any]:
        """One row per layer and position."""
        layers, positions = np.indices(self.mass.shape)
        return {
            "prompt": self.prompt,
            "layer": layers.ravel(),
            "position": positions.ravel(),
            "mass": self.mass.ravel(),
            "uniform": self.uniform.ravel(),
        }

    def _document(self) -> dict[str, Any]:
        return {"n": self.n, "mass": self.mass, "uniform": self.uniform}


def attention_mass(prompt: AnyPrompt, trace: Trace, examples: Sequence[Example]) -> AttentionMass:
    """Attention from text to prompt, beside the share even attention would give.

    Attention is where a model looks, not what it uses (Jain & Wallace 2019, "Attention is not
    Explanation"): read it beside an ablation.

    Raises:
        ValueError: there are no examples.
    """
    if not examples:
        raise ValueError("attention needs one example or more, found none")
    mass: Any = 0.0
    uniform: Any = 0.0
    for start in range(0, len(examples), _BATCH):
        found = trace(prompt, examples[start : start + _BATCH])
        mass = mass + found.attention_to_prompt.sum(axis=1, dtype=np.float64)
        uniform = uniform + found.uniform_attention.sum(axis=1, dtype=np.float64)
    n = len(examples)
    return AttentionMass(prompt.name, n, mass / n, uniform / n)
