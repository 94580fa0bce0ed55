"""One line for a file that holds no prompt: what it holds instead, why that is, and what helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.content import Content
from probe.formats.weights import (
    OPTIMIZER,
    TELLING,
    Weight,
    brief,
    named_like,
    shaped_like,
    what_is,
)
from probe.texts import counted

NOT_GATHERED = (
    "DeepSpeed ZeRO-3 and FSDP leave this behind when the weights were not gathered before saving: "
    "save again with stage3_gather_16bit_weights_on_model_save, or run zero_to_fp32.py on the "
    "checkpoint"
)
_SHOWN = 4


def shown(value: object) -> str:
    """A file's own value in quotes, cut where it is long."""
    return brief(repr(value))


def refusal(content: Content) -> PromptFormatError:
    """Why a file that no reader takes holds no prompt."""
    what = f"{content.path}: expected a soft prompt, found {_description(content)}"
    if held := _nameless(content.value):
        return PromptFormatError(
            f"{what}, a list of {counted(held, 'tensor')} without names, such as the keys and "
            "values of every layer; save the prompt's own tensor"
        )
    empty = content.container in ("pickle", "safetensors") and not _keys(content)
    if empty:
        return PromptFormatError(f"{what} without a tensor: {NOT_GATHERED}")
    if (weight := _main_kind(_keys(content))) is not None:
        return PromptFormatError(f"{what}: {weight.what}; {weight.advice}")
    for key, array in content.tensors.items():
        if array.ndim > 2 and (TELLING.search(key) or len(content.tensors) == 1):
            return PromptFormatError(
                f"{content.path}: expected rows [P, H], or a batch of one [1, P, H], found "
                f"{shown(key)} of shape {array.shape}: save each prompt under a key of its own"
            )
    return PromptFormatError(f"{what}; see docs/formats.md for the layouts that are read")


def require_gathered(content: Content) -> None:
    """Refuse a file whose tensors are all empty.

    Raises:
        PromptFormatError: they are.
    """
    if content.tensors and not any(array.size for array in content.tensors.values()):
        key, array = next(iter(content.tensors.items()))
        raise PromptFormatError(
            f"{content.path}: expected non-empty rows [P, H], found {shown(key)} of shape "
            f"{array.shape}: {NOT_GATHERED}"
        )


def refused(
    content: Content, name: str, shape: tuple[int, ...], weight: Weight
) -> PromptFormatError:
    """Why one tensor is no prompt."""
    return PromptFormatError(
        f"{content.path}: expected a soft prompt, found {weight.what} ({shown(name)} "
        f"{list(shape)}); {weight.advice}"
    )


def require_rows(content: Content, name: str, array: NDArray[Any]) -> None:
    """Refuse an array whose file's name or shape says that it is something else.

    Raises:
        PromptFormatError: it is no prompt.
    """
    if weight := named_like(content.path.stem) or shaped_like(array.shape):
        raise refused(content, name, array.shape, weight)


def not_a_prompt(
    content: Content, peft_type: str, prompt_methods: Sequence[str]
) -> PromptFormatError:
    """Why an adapter of PEFT without a prompt has none."""
    what, keys = f"{content.path}: this is a {peft_type} adapter", _keys(content)
    if not content.tensors:
        return PromptFormatError(f"{what} without a tensor: {NOT_GATHERED}")
    if peft_type in prompt_methods:
        return PromptFormatError(
            f"{what} by its configuration, but its weights are "
            f"{', '.join(shown(key) for key in keys[:_SHOWN])}, without prompt_embeddings: "
            "do the two files belong together?"
        )
    if peft_type == "ADAPTION_PROMPT":
        return PromptFormatError(
            f"{what} (LLaMA-Adapter), whose prompts stand inside the attention of upper layers and "
            "never among a model's inputs, so there is no soft prompt to read"
        )
    return PromptFormatError(
        f"{what}, which changes the model's weights, not a soft prompt; prompt methods are "
        f"{', '.join(prompt_methods)}"
    )


def _description(content: Content) -> str:
    keys = _keys(content)
    named = ", ".join(shown(key) for key in keys[:_SHOWN])
    more = f" and {len(keys) - _SHOWN:,} more" if len(keys) > _SHOWN else ""
    return content.words + (f" with {named}{more}" if keys else "")


def _keys(content: Content) -> list[str]:
    """What names the file's contents: its tensors, else whatever it holds."""
    value = content.value if isinstance(content.value, Mapping) else {}
    return list(content.tensors) or [str(key) for key in value]


def _nameless(value: object) -> int:
    """Tensors in a list, and in lists within it."""
    if isinstance(value, np.ndarray):
        return 1
    return sum(map(_nameless, value)) if isinstance(value, list | tuple) else 0


def _main_kind(keys: Sequence[str]) -> Weight | None:
    """What most of the tensors are, where most can be told."""
    if "param_groups" in keys:
        return OPTIMIZER
    kinds = [what_is(key.removesuffix(".npy")) for key in keys]
    known = [kind for kind in kinds if kind is not None]
    if 2 * len(known) < len(kinds) or not known:
        return None
    return max(known, key=known.count)
