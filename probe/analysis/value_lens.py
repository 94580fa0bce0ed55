"""What the values of a key/value prefix would write: the lens for prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.analysis.lens import (
    LayerControl,
    LensToken,
    cell_rows,
    check_sizes,
    layer_control,
    read_states,
    same_norms,
    shown_tokens,
)
from probe.arrays import Float32Array
from probe.prompt import KVPrefix
from probe.protocols import ProjectValues, Unembed
from probe.results import Result


@dataclass(frozen=True)
class ValueCell:
    """One value as one head reads it."""

    layer: int
    head: int
    """Of the queries: with grouped queries several heads read one value."""
    position: int
    norm: float
    """Of what the head adds to the residual stream when all its attention is on this value."""
    tokens: tuple[LensToken, ...]


@dataclass(frozen=True)
class ValueLens(Result):
    """The k most probable tokens of every value of a prefix."""

    prompt: str
    k: int
    seed: int
    """Of the random values."""
    draws: int
    cells: tuple[ValueCell, ...]
    """Layer by layer, head by head."""
    layers: tuple[LayerControl, ...]

    def _rows(self) -> list[dict[str, Any]]:
        """One row per layer, head, position and rank."""
        return cell_rows(self.prompt, self.cells)


def value_lens(
    prefix: KVPrefix,
    project: ProjectValues,
    unembed: Unembed,
    tokens: Sequence[str],
    *,
    k: int = 5,
    draws: int = 10,
    seed: int = 0,
) -> ValueLens:
    """Take each value through its head's slice of the output matrix and the unembedding.

    The projection of Dar et al. (2023), "Analyzing Transformers in Embedding Space", with the
    model's last norm in front of the unembedding, as the logit lens has it. Beside it stand
    `draws` sets of random values of the same norms.

    Args:
        prefix: values [L, key/value heads, P, head_dim].
        project: of the model.
        unembed: of the same model.
        tokens: [V], as shown to people.
        k: tokens per value.
        draws: of random values.
        seed: of the random values.

    Raises:
        ValueError: k or draws is less than 1, or k is more than V.
    """
    check_sizes(k, draws, len(tokens))
    rng = np.random.default_rng(seed)
    own = project(prefix.values)
    random = [project(same_norms(prefix.values, rng)) for _ in range(draws)]
    cells: list[ValueCell] = []
    layers = []
    for layer, added in enumerate(own):
        read = read_states(_flat(added), unembed, len(tokens), k)
        beside = [read_states(_flat(one[layer]), unembed, len(tokens), k) for one in random]
        layers.append(layer_control(layer, read, beside))
        norms = np.linalg.norm(added, axis=-1)
        places = np.ndindex(norms.shape)
        cells += [
            ValueCell(layer, head, position, float(norms[head, position]), shown)
            for (head, position), shown in zip(places, shown_tokens(read, tokens), strict=True)
        ]
    return ValueLens(prefix.name, k, seed, draws, tuple(cells), tuple(layers))


def _flat(added: Float32Array) -> Float32Array:
    """[heads, P, H] → [heads · P, H]."""
    return added.reshape(-1, added.shape[-1])
