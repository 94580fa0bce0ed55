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

from probe.formats.build import MAX_PROMPTS, Card, require_few, soft_prompt
from probe.formats.content import Content, opened
from probe.formats.keys import one
from probe.formats.tensors import read_npy
from probe.prompt import AnyPrompt

_KNOWN = {
    "soft_prompt_layer.soft_embeds": "opendelta",
    "learned_embedding": "kipgparker",
    "new_embed.weight": "waywardness",
    "ctx": "coop",
}
_LAYER_ENDINGS = (".weight", ".bias", "lora_A", "lora_B")


def read(content: Content) -> list[AnyPrompt] | None:
    """Prompts under a known key, or a dictionary that holds only prompts; None otherwise."""
    for key, reader in _KNOWN.items():
        rows = one(content.tensors, key)
        if rows is not None:
            card = Card(content.name, reader, method="prompt_tuning")
            return _by_class(content, rows, card)
    if content.container == "zip":
        return _only_prompts(_npz(content), "npz")
    return _only_prompts(content, "safetensors" if content.container == "safetensors" else "torch")


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
    """A model's weights also are matrices, so several must share one width and name no layer."""
    floats = {k: a for k, a in content.tensors.items() if np.issubdtype(a.dtype, np.floating)}
    if not 0 < len(floats) <= MAX_PROMPTS or any(a.ndim != 2 for a in floats.values()):
        return None
    card = Card(content.name, reader)
    if len(floats) == 1:
        return [soft_prompt(content, rows, card) for rows in floats.values()]
    widths = {rows.shape[1] for rows in floats.values()}
    if len(widths) > 1 or any(key.endswith(_LAYER_ENDINGS) for key in floats):
        return None
    return [soft_prompt(content, rows, replace(card, name=key)) for key, rows in floats.items()]
