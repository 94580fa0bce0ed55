"""Textual inversion: new CLIP tokens of text-to-image models.

- diffusers `learned_embeds.{safetensors,bin}`: `{token: [H] or [n, H]}` (examples/
  textual_inversion/textual_inversion.py, `save_progress`);
- A1111 `.pt`: `string_to_param["*"]` and `name` (modules/textual_inversion/textual_inversion.py);
  in the authors' own files (rinongal/textual_inversion) a ParameterDict holds the parameters;
- kohya and SDXL: `emb_params`, or `clip_l` and `clip_g`, one table per text encoder
  (as `TextualInversionLoaderMixin.load_textual_inversion` of diffusers reads them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.formats.build import Card, soft_prompt, text
from probe.formats.content import Content
from probe.formats.weights import left_out, named_like, what_is
from probe.prompt import AnyPrompt

_ENCODERS = ("clip_l", "clip_g")
_A1111_FIELDS = ("step", "sd_checkpoint", "sd_checkpoint_name")


def read(content: Content) -> list[AnyPrompt] | None:
    """The concept's rows, one prompt per token and text encoder; None for any other file."""
    if not isinstance(content.value, Mapping):
        return None
    tensors = content.tensors
    card = Card(content.name, "textual_inversion", method="textual_inversion")
    if isinstance(content.value.get("string_to_param"), Mapping):
        return _a1111(content, content.value, card)
    if "emb_params" in tensors:
        rest = left_out(tensors, ["emb_params"])
        return [soft_prompt(content, _rows(tensors["emb_params"]), replace(card, left_out=rest))]
    if encoders := [key for key in _ENCODERS if key in tensors]:
        card = replace(card, left_out=left_out(tensors, encoders))
        return [
            soft_prompt(
                content,
                _rows(tensors[key]),
                replace(card, name=f"{card.name}-{key}", config={"text_encoder": key}),
            )
            for key in encoders
        ]
    return _tokens(content, card)


def _a1111(content: Content, document: Mapping[str, Any], card: Card) -> list[AnyPrompt]:
    config = {
        key: document[key] for key in _A1111_FIELDS if isinstance(document.get(key), str | int)
    }
    base_model = text(document, "sd_checkpoint_name")
    card = replace(card, config=config, base_model=base_model)
    parameters = document["string_to_param"]
    if isinstance(inner := parameters.get("_parameters"), Mapping):
        parameters = inner
    rows = {k: v for k, v in parameters.items() if isinstance(v, np.ndarray)}
    name = text(document, "name") or card.name
    return [
        soft_prompt(
            content, _rows(array), replace(card, name=name if key == "*" else f"{name}-{key}")
        )
        for key, array in rows.items()
    ]


def _tokens(content: Content, card: Card) -> list[AnyPrompt] | None:
    """The layout of diffusers: nothing but placeholder tokens, or single vectors."""
    tensors, told = content.tensors, content.path.name.startswith("learned_embeds")
    if not tensors or any(array.ndim not in (1, 2) for array in tensors.values()):
        return None
    if named_like(content.path.stem) or any(what_is(key) for key in tensors):
        return None
    placeholders = all(key.startswith("<") and key.endswith(">") for key in tensors)
    one_vector = len(tensors) == 1 and all(array.ndim == 1 for array in tensors.values())
    if not (placeholders or told or one_vector):
        return None
    return [
        soft_prompt(content, _rows(array), replace(card, name=token, task=token))
        for token, array in tensors.items()
    ]


def _rows(array: NDArray[Any]) -> NDArray[Any]:
    return array[None] if array.ndim == 1 else array
