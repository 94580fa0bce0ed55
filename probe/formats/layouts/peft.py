"""PEFT adapters: prompt tuning, P-tuning, multitask, CPT, prefix tuning and cartridges.

What each method prepends is `PeftModel.get_prompt` and the `forward` of each task's class
(peft/peft_model.py, 0.21). For encoder–decoder models it is not what the file suggests:

- prompt tuning and P-tuning read only the first T of the T·S rows, in the encoder; the other half
  never receives a gradient. Before PEFT 0.4 (huggingface/peft#519) the decoder read and trained the
  other half; multitask prompt tuning still reads both.
- a prefix with S = 2 is doubled along its layers and cut into groups of four, of which the
  decoder's self-attention takes the first two: its layer l reads layer 2·l mod L of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.build import (
    Card,
    kv_prefix,
    require_few,
    soft_prompt,
    split_prefix,
    text,
    without_batch,
)
from probe.formats.content import Content, document_beside
from probe.formats.layouts.peft_files import CONFIG_FILE as CONFIG_FILE
from probe.formats.layouts.peft_files import (
    NO_CONFIG,
    PeftWeights,
    carded,
    find_weights,
    has_weights,
    is_saved,
    model_card_notes,
    used_keys,
)
from probe.formats.layouts.probe_file import CARD_KEY
from probe.formats.refusal import not_a_prompt, shown
from probe.formats.weights import brief, left_out
from probe.prompt import AnyPrompt, KVPrefix, LeftOut, Method
from probe.texts import counted

WEIGHT_FILES = ("adapter_model.safetensors", "adapter_model.bin")
"""In PEFT's own order of preference."""

_METHODS: dict[str, Method] = {
    "PROMPT_TUNING": "prompt_tuning",
    "P_TUNING": "p_tuning",
    "MULTITASK_PROMPT_TUNING": "multitask_prompt_tuning",
    "CPT": "cpt",
}
_PREFIXES = ("PREFIX_TUNING", "CARTRIDGE")
ENCODER_DECODER = "SEQ_2_SEQ_LM"
_EARLY = (
    "written by PEFT before 0.4 (its configuration has no revision), which trained the decoder's "
    "half too, in front of the decoder's input"
)
_HALVED = (
    "a prefix of BLOOM: with transformers of before mid-2024 PEFT read the first half of each row "
    "as the keys of all layers and the second as their values, and the file does not say with "
    "which it was trained; it is read layer by layer, as PEFT does now"
)


def read(content: Content) -> list[AnyPrompt] | None:
    """Prompts of a PEFT adapter or of a raw dump of one, None for any other file.

    Raises:
        PromptFormatError: the adapter is of another method, or its configuration contradicts it.
    """
    if not has_weights(content):
        if content.path.name in WEIGHT_FILES and (config := _config(content)):
            raise not_a_prompt(content, brief(config["peft_type"]), [*_METHODS, *_PREFIXES])
        return None
    config = _config(content)
    found = find_weights(content, config)
    rest = left_out(content.tensors, used_keys(content), trained=is_saved(content))
    prompts: list[AnyPrompt] = []
    for weights in found:
        prompts += _prompts(content, weights, config, rest, alone=len(found) == 1)
    return prompts


def _prompts(
    content: Content,
    weights: PeftWeights,
    config: Mapping[str, Any],
    rest: tuple[LeftOut, ...],
    *,
    alone: bool,
) -> list[AnyPrompt]:
    weights = replace(weights, rows=without_batch(weights.rows))
    if weights.rows.ndim != 2 and weights.rows.size:
        raise PromptFormatError(f"{content.path}: expected rows [P, H], found {weights.rows.shape}")
    peft_type = text(config, "peft_type") or weights.kind or ""
    name = content.name if alone else f"{content.name}-{weights.adapter}"
    card = Card(
        name=name,
        reader="peft",
        base_model=text(config, "base_model_name_or_path"),
        revision=text(config, "revision"),
        method=_METHODS.get(peft_type, "unknown"),
        config=config,
        left_out=rest,
        notes=model_card_notes(content, config) if config else (NO_CONFIG,),
    )
    if not weights.rows.size:
        return [soft_prompt(content, weights.rows, card)]  # refused there, with the likely cause
    if peft_type in _PREFIXES:
        return [_prefix(content, weights, carded(content, card))]
    if weights.task_cols is not None:
        return _multitask(content, weights, replace(card, method="multitask_prompt_tuning"))
    rows = _checked_rows(content, weights.rows, config)
    if peft_type == "CPT":
        card = replace(card, init_token_ids=_cpt_ids(config, len(rows)))
    return _halves(content, rows, carded(content, card))


def _halves(content: Content, rows: NDArray[Any], card: Card) -> list[AnyPrompt]:
    """The encoder's rows and the decoder's, where the model has both and the file has both."""
    per_half = _integer(content, card.config, "num_virtual_tokens") or len(rows)
    task_type = text(card.config, "task_type")
    if len(rows) <= per_half or task_type not in (ENCODER_DECODER, None):
        one_sided = replace(card, submodule="encoder") if task_type == ENCODER_DECODER else card
        return [soft_prompt(content, rows, one_sided)]
    early = _is_early(card.config) and card.method in ("prompt_tuning", "p_tuning")
    if early:
        card = replace(card, notes=(*card.notes, _EARLY))
    encoder = replace(card, name=f"{card.name}-encoder", submodule="encoder")
    decoder = replace(
        card,
        name=f"{card.name}-decoder",
        submodule="decoder",
        trained=early or card.method == "multitask_prompt_tuning",
        init_token_ids=None,
    )
    return [
        soft_prompt(content, rows[:per_half], encoder),
        soft_prompt(content, rows[per_half:], decoder),
    ]


def _is_early(config: Mapping[str, Any]) -> bool:
    """Whether PEFT before 0.4 wrote a configuration, and so all fields but those that came then."""
    return "inference_mode" in config and not {"revision", "auto_mapping"} & config.keys()


def _multitask(content: Content, weights: PeftWeights, card: Card) -> list[AnyPrompt]:
    """One prompt per task: the shared rows times the task's low-rank matrix, element by element."""
    cols, task_rows = weights.task_cols, weights.task_rows
    shared = _checked_rows(content, weights.rows, card.config)
    if cols is None or task_rows is None or not _fits(shared, cols, task_rows):
        raise PromptFormatError(
            f"{content.path}: prefix_task_cols [tasks, {len(shared)}, rank] and prefix_task_rows "
            f"[tasks, rank, {shared.shape[-1]}] must fit the shared prompt {shared.shape}, found "
            f"{getattr(cols, 'shape', None)} and {getattr(task_rows, 'shape', None)}"
        )
    require_few(content, len(cols))
    prompts: list[AnyPrompt] = []
    for task, (left, right) in enumerate(zip(cols, task_rows, strict=True)):
        of_task = replace(card, name=f"{card.name}-task{task}", task=f"task{task}")
        prompts += _halves(content, shared * (left @ right), of_task)
    return prompts


def _fits(shared: NDArray[Any], cols: NDArray[Any], task_rows: NDArray[Any]) -> bool:
    return (
        cols.ndim == task_rows.ndim == 3
        and cols.shape == (len(task_rows), len(shared), task_rows.shape[1])
        and task_rows.shape[2] == shared.shape[1]
    )


def _prefix(content: Content, weights: PeftWeights, card: Card) -> KVPrefix:
    flat, config = weights.rows, card.config
    positions = _integer(content, config, "num_virtual_tokens") or len(flat)
    heads = _integer(content, config, "num_attention_heads") or 1
    layers = _integer(content, config, "num_layers") or weights.layers or 1
    if len(flat) != positions or not flat.size or flat.shape[1] % (2 * layers * heads):
        raise PromptFormatError(
            f"{content.path}: expected a prefix of {counted(positions, 'row')} "
            f"(num_virtual_tokens) that split into 2 × {counted(layers, 'layer')} × "
            f"{counted(heads, 'head')}, found {flat.shape}"
        )
    _check_width(content, flat.shape[1], 2 * layers, config)
    keys, values = split_prefix(flat, layers=layers, heads=heads)
    doubled = _integer(content, config, "num_transformer_submodules") == 2
    if doubled:
        read_layers = [2 * layer % layers for layer in range(layers)]
        keys, values = keys[read_layers], values[read_layers]
    if doubled or text(config, "task_type") == ENCODER_DECODER:
        card = replace(card, submodule="decoder")
    if _may_be_halved(content, card):
        card = replace(card, notes=(*card.notes, _HALVED))
    return kv_prefix(content, keys, values, card)


def _may_be_halved(content: Content, card: Card) -> bool:
    """Whether PEFT may have read a prefix as BLOOM's old cache: all keys, then all values."""
    told = CARD_KEY in content.metadata or "peft_version" in card.config
    return not told and "bloom" in (card.base_model or "").lower()


def _checked_rows(content: Content, rows: NDArray[Any], config: Mapping[str, Any]) -> NDArray[Any]:
    """The rows, once the configuration agrees with them."""
    per_half = _integer(content, config, "num_virtual_tokens")
    halves = _integer(content, config, "num_transformer_submodules")
    expected = None if per_half is None else per_half * (halves or 1)
    if expected is not None and len(rows) != expected and (halves or len(rows) != 2 * expected):
        raise PromptFormatError(
            f"{content.path}: {CONFIG_FILE} says {per_half} virtual tokens × "
            f"{halves or 1} submodules = {counted(expected, 'row')}, the file holds {len(rows)}"
        )
    _check_width(content, rows.shape[1], 1, config)
    return rows


def _check_width(content: Content, width: int, times: int, config: Mapping[str, Any]) -> None:
    token_dim = _integer(content, config, "token_dim")
    if token_dim is not None and width != times * token_dim:
        raise PromptFormatError(
            f"{content.path}: {CONFIG_FILE} says token_dim {token_dim}, so rows of "
            f"{times * token_dim} numbers, the file holds rows of {width}"
        )


def _cpt_ids(config: Mapping[str, Any], rows: int) -> tuple[int, ...] | None:
    """The tokens CPT started from; its configuration always records them."""
    ids = config.get("cpt_token_ids")
    if not isinstance(ids, list) or len(ids) != rows or any(type(i) is not int for i in ids):
        return None
    return tuple(ids)


def _integer(content: Content, config: Mapping[str, Any], key: str) -> int | None:
    value = config.get(key)
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise PromptFormatError(
            f"{content.path}: {CONFIG_FILE} must say a whole number ≥ 1 as {key}, found "
            f"{shown(value)}"
        )
    return value


def _config(content: Content) -> Mapping[str, Any]:
    """The adapter's configuration; empty without one, or when it is AdapterHub's."""
    document = document_beside(content, CONFIG_FILE)
    return document if text(document, "peft_type") else {}
