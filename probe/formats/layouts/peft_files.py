"""Weights of PEFT's prompt methods: as `save_pretrained` writes them, or as a raw state dict.

Saved files hold what the encoder made (`BasePromptEncoder._get_adapter_state_dict`); state dicts
and Trainer dumps hold the encoder itself, so its network runs here (peft/tuners/*/model.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from probe.formats.build import Card, fitting, text
from probe.formats.content import Content, Tensors, below
from probe.formats.layouts.probe_file import with_card
from probe.formats.layouts.reparametrise import bidirectional_lstm, mlp
from probe.formats.refusal import shown
from probe.formats.weights import OPTIMIZER, what_is
from probe.prompt import Method

Kind = Literal["P_TUNING", "PREFIX_TUNING", "CARTRIDGE", "MULTITASK_PROMPT_TUNING", "CPT"]

_SAVED = ("prompt_embeddings", "prefix_task_cols", "prefix_task_rows")
_LEAF = re.compile(
    r"(?:^|\.)prompt_encoder\.(?:(?P<adapter>.+?)\.)??(?P<leaf>"
    r"(?:embedding|delta_embedding)\.weight|(?:mlp_head|lstm_head|transform)\.[^.].*"
    r"|prefix_task_(?:cols|rows)|(?:trainable|frozen)_embedding)$"
)


@dataclass(frozen=True)
class PeftWeights:
    """What PEFT keeps of one adapter."""

    adapter: str
    """Its name; empty in a saved file, which has none."""
    rows: NDArray[Any]
    """[T·S, H] prompt, or [T, 2·L·heads·head_dim] flat prefix."""
    kind: Kind | None = None
    """What the keys alone say of the method."""
    layers: int | None = None
    """Layers of a prefix, where its projection tells."""
    task_cols: NDArray[Any] | None = None
    """[tasks, T·S, rank] of multitask prompt tuning."""
    task_rows: NDArray[Any] | None = None
    """[tasks, rank, H] of multitask prompt tuning."""


def has_weights(content: Content) -> bool:
    """Whether a file holds any key of PEFT's prompt methods."""
    return is_saved(content) or any(_leaf(key) for key in content.tensors)


def is_saved(content: Content) -> bool:
    """Whether `save_pretrained` wrote the file, which keeps nothing but what was trained."""
    return "prompt_embeddings" in content.tensors


def used_keys(content: Content) -> list[str]:
    """The keys that PEFT's prompts are made of."""
    return [key for key in content.tensors if key in _SAVED or _leaf(key)]


def find_weights(content: Content, config: Mapping[str, Any]) -> list[PeftWeights]:
    """Every PEFT prompt of a file, none when it holds no such keys.

    Raises:
        PromptFormatError: an encoder's network is incomplete or does not fit together.
    """
    tensors = content.tensors
    if "prompt_embeddings" in tensors:
        cols, rows = tensors.get("prefix_task_cols"), tensors.get("prefix_task_rows")
        kind: Kind | None = None if cols is None else "MULTITASK_PROMPT_TUNING"
        return [PeftWeights("", tensors["prompt_embeddings"], kind, None, cols, rows)]
    with fitting(content, "the dumped prompt encoder"):
        return [_run(content, name, leaves, config) for name, leaves in _encoders(tensors).items()]


def _encoders(tensors: Tensors) -> dict[str, dict[str, NDArray[Any]]]:
    """The leaves of every dumped encoder by its adapter's name.

    A file may hold one encoder several times (trained, averaged, …); then what stands before its
    keys is part of the name.
    """
    found: dict[tuple[str, str], dict[str, NDArray[Any]]] = {}
    for key, array in tensors.items():
        if match := _leaf(key):
            place = key[: match.start()], match["adapter"] or ""
            found.setdefault(place, {})[match["leaf"]] = array
    several = len({where for where, _ in found}) > 1
    return {
        ".".join(filter(None, (where, adapter))) if several else adapter: leaves
        for (where, adapter), leaves in found.items()
    }


def _leaf(key: str) -> re.Match[str] | None:
    """The match of a key of a prompt encoder, but not of its optimizer's state."""
    match = _LEAF.search(key)
    return match if match and what_is(key) is not OPTIMIZER else None


def _run(content: Content, adapter: str, leaves: Tensors, config: Mapping[str, Any]) -> PeftWeights:
    """The prompt one raw encoder makes."""
    if "trainable_embedding" in leaves:
        parts = [leaves[k] for k in ("frozen_embedding", "trainable_embedding") if k in leaves]
        return PeftWeights(adapter, np.concatenate(parts), "CARTRIDGE")
    rows = leaves["embedding.weight"]
    if head := below(leaves, "mlp_head"):
        lstm = below(leaves, "lstm_head")
        through = bidirectional_lstm(rows, lstm, content.budget) if lstm else rows
        return PeftWeights(adapter, mlp(through, head, "relu", content.budget), "P_TUNING")
    if network := below(leaves, "transform"):
        flat = mlp(rows, network, "tanh", content.budget)
        layers = flat.shape[1] // (2 * rows.shape[1])
        return PeftWeights(adapter, flat, "PREFIX_TUNING", layers)
    if "prefix_task_cols" in leaves:
        cols, task_rows = leaves["prefix_task_cols"], leaves["prefix_task_rows"]
        return PeftWeights(adapter, rows, "MULTITASK_PROMPT_TUNING", None, cols, task_rows)
    if "delta_embedding.weight" in leaves:
        delta = _projected(leaves["delta_embedding.weight"], config)
        return PeftWeights(adapter, rows + delta, "CPT")
    return PeftWeights(adapter, rows)


def _projected(delta: NDArray[Any], config: Mapping[str, Any]) -> NDArray[Any]:
    """The delta [T, H] within the radius its token's type allows (CPTEmbedding.get_projection)."""
    kinds = np.array(config["cpt_tokens_type_mask"])
    scale = np.sqrt(delta.shape[1] / 2048)
    radius = np.full(len(delta), 1e-10, dtype=np.float32)
    radius[(kinds > 0) & (kinds % 2 == 1)] = config["opt_projection_format_epsilon"] * scale
    radius[(kinds > 0) & (kinds % 4 == 2)] = config["opt_projection_epsilon"] * scale
    norms = np.linalg.norm(delta, axis=1)
    projected: NDArray[Any] = delta * (radius / np.maximum(norms, radius))[:, None]
    return projected


CONFIG_FILE = "adapter_config.json"
_FILE = "README.md"
_CHARACTERS = 20_000
"""Read at most; what matters stands at the head."""
_BASE_MODEL = re.compile(r"\A---\n(?:(?!---).*\n)*?base_model:[ \t]*(?:\n- )?(?P<name>\S+)[ \t]*\n")
_FIELDS = {"base_model": "base_model_name_or_path", "revision": "revision"}
NO_CONFIG = (
    f"there is no {CONFIG_FILE}: the method is unknown, and a prefix of keys and values cannot be "
    "told from a soft prompt"
)


def carded(content: Content, card: Card) -> Card:
    """The card with what `probe` kept in the header; what the configuration says wins.

    The header is hidden and the configuration is not: whoever edits the one means it.
    """
    kept = with_card(card, content)
    notes = list(card.notes)
    for field in ("base_model", "revision"):
        said, hidden = getattr(card, field), getattr(kept, field)
        taken = said or hidden
        kept = replace(kept, **{field: taken})
        if hidden not in (None, said) and _FIELDS[field] in card.config:
            notes.append(
                f"{CONFIG_FILE} says {field.replace('_', ' ')} {shown(said)}, the weights' header "
                f"{shown(hidden)}: {shown(taken)} is taken"
            )
    if card.method in ("prompt_tuning", "p_tuning") and _written_as(kept.method) != card.method:
        notes.append(f"{CONFIG_FILE} says {card.method}, the weights' header {kept.method}")
        kept = replace(kept, method=card.method)
    return replace(
        kept,
        config={**kept.config, **card.config},
        left_out=tuple(dict.fromkeys((*kept.left_out, *card.left_out))),
        notes=tuple(notes),
    )


def _written_as(method: Method) -> Method:
    """The method that a configuration written by `probe` says, which PEFT must know."""
    return "p_tuning" if method == "p_tuning" else "prompt_tuning"


def model_card_notes(content: Content, config: Mapping[str, Any]) -> tuple[str, ...]:
    """A line where the model card names another base model than the adapter's configuration."""
    said, named = text(config, "base_model_name_or_path"), _base_model(content)
    if said is None or named is None or _last_part(named) == _last_part(said):
        return ()
    return (
        f"{_FILE} names base model {shown(named)}, {CONFIG_FILE} {shown(said)}: the latter "
        "is taken",
    )


def _base_model(content: Content) -> str | None:
    path = content.beside(_FILE)
    if path is None:
        return None
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        if found := _BASE_MODEL.search(file.read(_CHARACTERS)):
            return found["name"].strip("\"'")
    return None


def _last_part(name: str) -> str:
    """What stays of a model's name wherever it is kept."""
    return name.rstrip("/").rpartition("/")[2].casefold()
