"""State dicts in which one known key is the prompt, and dictionaries of nothing but prompts.

- OpenDelta: `…soft_prompt_layer.soft_embeds` (opendelta/delta_models/soft_prompt.py);
- kipgparker/soft-prompt-tuning: `learned_embedding` (soft_embedding.py), beside the whole
  vocabulary as `wte.weight`;
- prompt waywardness: `transformer.wte.new_embed.weight` (Alrope123/prompt-waywardness, run.py);
- CoOp: `state_dict.ctx`, per class when it has three axes (KaiyangZhou/CoOp, trainers/coop.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.formats.build import MAX_PROMPTS, Card, require_few, soft_prompt, without_batch
from probe.formats.containers.safetensors_npy import read_npy
from probe.formats.content import Content, keys_of, opened
from probe.formats.refusal import require_rows
from probe.formats.weights import LAYER, OPTIMIZER, TELLING, VOCABULARY, left_out, what_is
from probe.prompt import AnyPrompt

_KNOWN = {
    "soft_prompt_layer.soft_embeds": "opendelta",
    "learned_embedding": "kipgparker",
    "new_embed.weight": "waywardness",
    "ctx": "coop",
}
_LAYER_ENDINGS = (".weight", ".bias")
_MOST_TRAINED = 16
"""Tensors in a file that nobody took for a whole model's."""


def read(content: Content) -> list[AnyPrompt] | None:
    """Prompts under a known key, or a dictionary that holds only prompts; None otherwise."""
    for suffix, reader in _KNOWN.items():
        if keys := [k for k in keys_of(content.tensors, suffix) if what_is(k) is not OPTIMIZER]:
            return _known(content, keys, suffix, reader)
    if content.container == "zip":
        return _only_prompts(_npz(content), "npz")
    return _only_prompts(content, "safetensors" if content.container == "safetensors" else "torch")


def _known(content: Content, keys: list[str], suffix: str, reader: str) -> list[AnyPrompt]:
    """What stands under a known key, in every module that has one."""
    rest = left_out(content.tensors, keys)
    card = Card(content.name, reader, method="prompt_tuning", left_out=rest)
    prompts: list[AnyPrompt] = []
    for key in keys:
        module = key.removesuffix(suffix).strip(".")
        of_module = replace(card, name=f"{card.name}-{module}") if len(keys) > 1 else card
        prompts += _by_class(content, content.tensors[key], of_module)
    return prompts


def _by_class(content: Content, rows: NDArray[Any], card: Card) -> list[AnyPrompt]:
    if rows.ndim != 3:
        return [soft_prompt(content, rows, card)]
    require_few(content, len(rows))
    return [
        soft_prompt(content, of_class, replace(card, name=f"{card.name}-class{index}"))
        for index, of_class in enumerate(rows)
    ]


def _npz(content: Content) -> Content:
    """The arrays of an npz, which is a zip of `.npy` files."""
    members = content.value if isinstance(content.value, dict) else {}
    arrays = {
        name.removesuffix(".npy"): opened(content.path, read_npy, data)
        for name, data in members.items()
        if name.endswith(".npy")
    }
    return content.inside(arrays)


def _only_prompts(content: Content, reader: str) -> list[AnyPrompt] | None:
    """Rows under keys that nothing else goes by, and what else there is left out.

    A model's weights also are matrices, so several must share one width and name no layer; beside a
    model's layers rows must be named as such.
    """
    floats = {k: a for k, a in content.tensors.items() if _is_matrix_like(a)}
    kinds = {key: what_is(key) for key in floats}
    rows = {key: without_batch(floats[key]) for key, kind in kinds.items() if kind is None}
    if LAYER in kinds.values():
        rows = {key: array for key, array in rows.items() if TELLING.search(key)}
    if not 0 < len(rows) <= MAX_PROMPTS or any(a.ndim != 2 for a in rows.values()):
        return None
    trained = VOCABULARY not in kinds.values() and len(kinds) <= _MOST_TRAINED
    card = Card(content.name, reader, left_out=left_out(content.tensors, rows, trained=trained))
    if len(rows) == 1:
        return [_only(content, key, array, card) for key, array in rows.items()]
    widths = {array.shape[1] for array in rows.values()}
    if len(widths) > 1 or any(key.endswith(_LAYER_ENDINGS) for key in rows):
        return None
    return [_only(content, key, array, replace(card, name=key)) for key, array in rows.items()]


def _only(content: Content, key: str, rows: NDArray[Any], card: Card) -> AnyPrompt:
    """One prompt that only its shape and its file's name vouch for."""
    require_rows(content, key, rows)
    return soft_prompt(content, rows, card)


def _is_matrix_like(array: NDArray[Any]) -> bool:
    """Whether this is more than one number, and floating point."""
    return bool(np.issubdtype(array.dtype, np.floating)) and array.size != 1
