"""PEFT's rows of chosen tokens: `TRAINABLE_TOKENS`, or `trainable_token_indices` beside LoRA.

`…trainable_tokens_delta` [n, H] holds whole rows that replace the table's at `token_indices`, in
their order (peft/tuners/trainable_tokens/layer.py, 0.21); the name is not the adapter's own in
saved files. A tied output layer is stored again under its own name, with the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.build import Card, soft_prompt, take, text
from probe.formats.content import Content, document_beside
from probe.formats.layouts.peft_files import CONFIG_FILE
from probe.formats.weights import OUTPUT, VOCABULARY, left_out, what_is
from probe.prompt import AnyPrompt, LeftOut
from probe.texts import counted

_DELTA = re.compile(
    r"^(?:(?P<module>.+?)\.)??(?:token_adapter\.)?trainable_tokens_delta(?:\.(?P<adapter>[^.]+))?$"
)
_MOST = 32


@dataclass(frozen=True)
class _Rows:
    """The chosen rows of one module in one adapter."""

    key: str
    module: str
    """Dotted name of the embedding that they replace rows of."""
    adapter: str
    """Empty in saved files."""
    rows: NDArray[Any]
    """[n, H]"""


def read(content: Content) -> list[AnyPrompt] | None:
    """One prompt per embedding with chosen rows, None for any other file.

    Raises:
        PromptFormatError: the configuration names another number of tokens.
    """
    every = _found(content)
    if not every:
        return None
    config = document_beside(content, CONFIG_FILE)
    inputs = _without_twins([one for one in every if not _is_output(one)]) or every
    saved = not any(one.adapter for one in every)  # which holds nothing but what was trained
    rest = left_out(content.tensors, [one.key for one in every], trained=saved)
    card = Card(
        content.name,
        "peft",
        base_model=text(config, "base_model_name_or_path"),
        revision=text(config, "revision"),
        method="trainable_tokens",
        config=config,
        left_out=(*_outputs(every, inputs), *rest),
    )
    return [_prompt(content, one, card, alone=len(inputs) == 1) for one in inputs]


def _found(content: Content) -> list[_Rows]:
    """Every embedding's chosen rows."""
    matches = {key: match for key in content.tensors if (match := _DELTA.match(key))}
    if len(matches) > _MOST:
        raise PromptFormatError(
            f"{content.path}: expected chosen rows of at most {_MOST} embeddings, found "
            f"{len(matches)}"
        )
    take(content, "chosen rows", sum(content.tensors[key].nbytes for key in matches))
    return [
        _Rows(key, match["module"] or "", match["adapter"] or "", content.tensors[key])
        for key, match in matches.items()
    ]


def _is_output(one: _Rows) -> bool:
    """Whether the rows are of the layer that scores the next token."""
    return what_is(one.module) is OUTPUT


def _without_twins(found: list[_Rows]) -> list[_Rows]:
    """Embeddings whose rows no earlier one holds: tied ones are stored again."""
    kept: list[_Rows] = []
    for one in found:
        if not any(one.adapter == k.adapter and _same(one, k) for k in kept):
            kept.append(one)
    return kept


def _same(one: _Rows, other: _Rows) -> bool:
    return bool(np.array_equal(one.rows, other.rows))


def _outputs(every: list[_Rows], inputs: list[_Rows]) -> tuple[LeftOut, ...]:
    """Rows of an output layer of its own: trained too, but never read by the model's input."""
    return tuple(
        LeftOut(one.key, one.rows.shape, "the same tokens' rows in the output layer", True)
        for one in every
        if _is_output(one) and not any(one is k or _same(one, k) for k in inputs)
    )


def _prompt(content: Content, one: _Rows, card: Card, *, alone: bool) -> AnyPrompt:
    parts = [content.name, one.adapter, "" if alone else one.module.rpartition(".")[2]]
    card = replace(card, name="-".join(part for part in parts if part))
    chosen = _chosen(card.config, one.module)
    if chosen is not None and len(chosen) != len(one.rows):
        raise PromptFormatError(
            f"{content.path}: {CONFIG_FILE} names {counted(len(chosen), 'token')}, the file holds "
            f"{counted(len(one.rows), 'row')} in {one.key}"
        )
    known = chosen is not None and card.config.get("init_weights", True) is not False
    vocabulary = what_is(one.module) in (VOCABULARY, OUTPUT, None)
    return soft_prompt(
        content, one.rows, replace(card, init_token_ids=chosen if known and vocabulary else None)
    )


def _chosen(config: Mapping[str, Any], module: str) -> tuple[int, ...] | None:
    """The ids whose rows a module trains, where the configuration names them."""
    named = config.get("token_indices") or config.get("trainable_token_indices")
    if isinstance(named, Mapping):
        endings = [name for name in named if f".{module}".endswith(f".{name}")]
        named = named[endings[0]] if endings else None
    if not isinstance(named, list) or any(type(one) is not int or one < 0 for one in named):
        return None
    return tuple(named)
