"""The logit lens: what each position would predict if a layer were the last one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from probe.arrays import Float32Array, Float64Array, IntArray
from probe.errors import NotDecodableError
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt
from probe.protocols import Trace, Unembed
from probe.results import Result
from probe.task import Example
from probe.texts import counted


@dataclass(frozen=True)
class LensToken:
    """A token with the probability a reading gives it."""

    id: int
    token: str
    probability: float


@dataclass(frozen=True)
class LensCell:
    """One position at one layer."""

    layer: int
    position: int
    tokens: tuple[LensToken, ...]
    """The k most probable, the first one first."""


@dataclass(frozen=True)
class LayerControl:
    """A layer's readings beside those of random rows of the same norms."""

    layer: int
    top_probability: float
    """Of the most probable token, mean over what was read."""
    random_top_probability: float
    """The same of the random rows, mean over the draws."""
    overlap: float
    """Mean Jaccard of a reading's k tokens with those of a random row in its place: near 1, the
    reading tells of the model and not of the prompt."""


@dataclass(frozen=True)
class Lens(Result):
    """The k most probable tokens of every position at every layer."""

    prompt: str
    k: int
    seed: int
    """Of the random rows."""
    draws: int
    cells: tuple[LensCell, ...]
    """Layer by layer; layer 0 is what enters the first layer, layer L what leaves the last."""
    layers: tuple[LayerControl, ...]

    def _rows(self) -> list[dict[str, Any]]:
        """One row per layer, position and rank."""
        return cell_rows(self.prompt, self.cells)


def cell_rows(prompt: str, cells: Iterable[Any]) -> list[dict[str, Any]]:
    """One row per cell of a lens and rank of its tokens."""
    rows = []
    for cell in cells:
        place = {name: value for name, value in vars(cell).items() if name != "tokens"}
        for rank, token in enumerate(cell.tokens, start=1):
            rows.append({"prompt": prompt, **place, "rank": rank, **asdict(token)})
    return rows


def logit_lens(
    prompt: AnyPrompt,
    trace: Trace,
    unembed: Unembed,
    tokens: Sequence[str],
    *,
    k: int = 5,
    draws: int = 10,
    seed: int = 0,
) -> Lens:
    """Take each position's state at each layer through the last norm and the unembedding.

    nostalgebraist (2020), "interpreting GPT: the logit lens". The prompt stands in front of an
    empty text, so that a causal model's states are the prompt's own. Beside it stand `draws`
    isotropic prompts with the same norms.

    Args:
        prompt: P rows.
        trace: of a model.
        unembed: of the same model.
        tokens: [V], as shown to people.
        k: tokens per position.
        draws: of random rows.
        seed: of the random rows.

    Raises:
        NotDecodableError: a key/value prefix has no states to read.
        ValueError: k or draws is less than 1, or k is more than V.
    """
    if isinstance(prompt, KVPrefix):
        raise NotDecodableError(
            f"{prompt.name} is a key/value prefix: it has no hidden states of its own, read its "
            "values instead"
        )
    check_sizes(k, draws, len(tokens))
    rng = np.random.default_rng(seed)
    own = prompt_states(prompt, trace)
    random = [prompt_states(one, trace) for one in random_prompts(prompt, draws, rng)]
    cells, layers = [], []
    for layer, states in enumerate(own):
        read = read_states(states, unembed, len(tokens), k)
        beside = [read_states(one[layer], unembed, len(tokens), k) for one in random]
        layers.append(layer_control(layer, read, beside))
        cells += [
            LensCell(layer, position, shown)
            for position, shown in enumerate(shown_tokens(read, tokens))
        ]
    return Lens(prompt.name, k, seed, draws, tuple(cells), tuple(layers))


Reading = tuple[IntArray, Float64Array]
"""The k most probable ids of n states and their probabilities, both [n, k]."""


def read_states(states: Float32Array, unembed: Unembed, size: int, k: int) -> Reading:
    """The k most probable of the first `size` tokens for states [n, H]."""
    # A head may have more rows than the vocabulary has tokens: padding for fast products.
    logits = unembed(states)[:, :size]
    ids = np.argpartition(-logits, k - 1, axis=1)[:, :k]
    best = np.take_along_axis(logits, ids, axis=1)
    ids = np.take_along_axis(ids, np.argsort(-best, axis=1), axis=1)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = np.take_along_axis(raised, ids, axis=1).astype(np.float64)
    return ids, shares / raised.sum(axis=1, keepdims=True, dtype=np.float64)


def shown_tokens(read: Reading, tokens: Sequence[str]) -> Iterator[tuple[LensToken, ...]]:
    """Each state's tokens as people see them."""
    for ids, probabilities in zip(*read, strict=True):
        yield tuple(
            LensToken(int(i), tokens[i], float(p)) for i, p in zip(ids, probabilities, strict=True)
        )


def layer_control(layer: int, read: Reading, beside: Sequence[Reading]) -> LayerControl:
    """How a layer's readings differ from those of each draw of random rows."""
    overlaps = [
        len(set(a) & set(b)) / len(set(a) | set(b))
        for ids, _ in beside
        for a, b in zip(read[0].tolist(), ids.tolist(), strict=True)
    ]
    return LayerControl(
        layer=layer,
        top_probability=float(read[1][:, 0].mean()),
        random_top_probability=float(np.mean([found[:, 0].mean() for _, found in beside])),
        overlap=float(np.mean(overlaps)),
    )


def prompt_states(prompt: SoftPrompt, trace: Trace) -> Float32Array:
    """States of the prompt's rows in front of an empty text, [L + 1, P, H]."""
    return trace(prompt, [Example("")]).hidden[:, 0, : len(prompt)]


def random_prompts(
    prompt: SoftPrompt, draws: int, rng: np.random.Generator
) -> Iterator[SoftPrompt]:
    """Prompts of isotropic rows, each with the norm of the row in whose place it stands."""
    for _ in range(draws):
        rows = same_norms(prompt.embeddings, rng)
        yield dataclasses.replace(prompt, embeddings=rows, init_token_ids=None)


def same_norms(rows: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Rows [..., d] of any direction, each of the norm of the one in its place."""
    drawn = rng.normal(size=rows.shape)
    norms = np.linalg.norm(rows.astype(np.float64), axis=-1, keepdims=True)
    drawn *= norms / np.linalg.norm(drawn, axis=-1, keepdims=True)
    return np.asarray(drawn, dtype=np.float32)


def check_sizes(k: int, draws: int, size: int) -> None:
    """Refuse sizes that cannot be read.

    Raises:
        ValueError: k is not between 1 and V, or there are no draws.
    """
    if not 1 <= k <= size:
        raise ValueError(f"k must be between 1 and the {counted(size, 'token')}, found {k}")
    if draws < 1:
        raise ValueError(f"draws must be 1 or more, found {draws}")
