"""Decode a prompt on its base model, knowing where it started whenever its file tells."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from probe.analysis import decoding as analysis
from probe.analysis.decoding import Decoding
from probe.errors import ModelNotFoundError, NotComparableError
from probe.live import IN_MEMORY
from probe.notes import note
from probe.prompt import AnyPrompt, SoftPrompt
from probe.requests import DecodeRequest, takes
from probe.store import Library, Workspace
from probe.tables import load_vocabulary, same_model
from probe.verbs.checks import base_of, named_model
from probe.vocabulary import Vocabulary

if TYPE_CHECKING:
    from probe.requests.sources import TableSource


Prompt = TypeVar("Prompt", bound=AnyPrompt)
_PEFT_START = "prompt_tuning_init"


@takes(DecodeRequest)
def decode(asked: DecodeRequest) -> Decoding:
    """Which vocabulary tokens each position is closest to, beside what chance would give.

    The workspace keeps the controls of a table between calls.

    Raises:
        PromptFormatError: the prompt cannot be read.
        ModelNotFoundError: no base model is known, or it cannot be read.
        NotDecodableError: the prompt has no nearest tokens in this table.
        ValueError: a bad metric, k or filter.
    """
    workspace = Workspace(asked.workspace)
    prompt = Library(workspace).load_one(asked.prompt)
    vocabulary = vocabulary_of(prompt, asked.model)
    found = analysis.decode(
        with_start(prompt, vocabulary),
        vocabulary,
        metric=asked.metric,
        k=asked.k,
        filters=asked.filter,
        one_to_one=asked.one_to_one,
        controls=analysis.Controls(asked.controls, asked.seed, workspace.cached_arrays),
    )
    for line in found.notes:
        note(line)
    return dataclasses.replace(found, notes=(*taken_for([prompt], vocabulary), *found.notes))


def taken_for(prompts: Sequence[AnyPrompt], model: TableSource) -> tuple[str, ...]:
    """Say of prompts that they were trained on another model than this one, a line per model."""
    names: dict[str, list[str]] = {}
    for prompt in prompts:
        if trained_on := _trained_elsewhere(prompt, model):
            names.setdefault(trained_on, []).append(prompt.name)
    name = _name_of(model)
    lines = tuple(_other_model(own, trained_on, name) for trained_on, own in names.items())
    for line in lines:
        note(line)
    return lines


def _trained_elsewhere(prompt: AnyPrompt, model: TableSource) -> str | None:
    """The model of a prompt if it is another; where both tables are known, they decide."""
    if prompt.base_model is None:
        return None
    namesake = same_model(prompt.base_model, _name_of(model))
    recorded = prompt.config.get("table_sha256")
    if recorded is None or not isinstance(model, Vocabulary):
        return None if namesake else prompt.base_model
    if recorded == model.fingerprint:
        return None
    if namesake and model.name.endswith(IN_MEMORY):  # often loaded in another precision
        return None
    return f"{prompt.base_model} with another table" if namesake else prompt.base_model


def _name_of(model: TableSource) -> str:
    return model.name if isinstance(model, Vocabulary) else str(named_model(model))


def _other_model(names: Sequence[str], trained_on: str, model: str) -> str:
    who, taken = f"{names[0]} was", "is taken for a prompt"
    if len(names) > 1:
        who, taken = f"{names[0]} and {len(names) - 1:,} more were", "are taken for prompts"
    return (
        f"{who} trained on {trained_on} and {taken} of {model}: unless that is a copy, what is "
        "found says nothing about them"
    )


def vocabulary_of(prompt: AnyPrompt, model: TableSource | None = None) -> Vocabulary:
    """The vocabulary a prompt is read in: of its own base model unless another is named.

    Raises:
        ModelNotFoundError: no base model is known, or it cannot be read.
    """
    if isinstance(model, Vocabulary):
        return model
    named = named_model(model) or prompt.live_model
    if named is None and prompt.base_model is None:
        raise ModelNotFoundError(
            f"{prompt.name} does not say which model it was trained on: name it with --model "
            "(model= in Python)"
        )
    which = prompt.submodule or "input"
    if named is None:
        return load_vocabulary(str(prompt.base_model), prompt.revision, which)
    try:
        return load_vocabulary(named, None, which)
    except ModelNotFoundError:
        # A prompt may claim a half that the named model does not have; its only table then serves.
        if which == "input":
            raise
        return load_vocabulary(named)


def one_vocabulary(prompts: Sequence[AnyPrompt], model: TableSource | None = None) -> Vocabulary:
    """The vocabulary the prompts are read in: of the base model they share, or of the one named.

    Raises:
        NotComparableError: they name several base models.
        ModelNotFoundError: no base model is known, or it cannot be read.
    """
    if model is not None:
        return vocabulary_of(prompts[0], model)
    known = [prompt for prompt in prompts if base_of(prompt) is not None]
    for other in known[1:]:
        first, own = (str(base_of(prompt)) for prompt in (known[0], other))
        if own.removesuffix(IN_MEMORY) != first.removesuffix(IN_MEMORY):
            raise NotComparableError(
                f"{known[0].name} was trained on {first}, {other.name} on {own}: name one model "
                "with --model (model= in Python) if they share its embedding table"
            )
    known = known or [*prompts]
    stated = next((one.revision for one in known if one.revision), None)
    tables = {(one.revision or stated, one.submodule): one for one in reversed(known)}
    found = vocabulary_of(known[0])
    for other in tables.values():
        if other is not known[0] and vocabulary_of(other).fingerprint != found.fingerprint:
            raise NotComparableError(
                f"{known[0].name} and {other.name} were trained on two tables of {found.name}: "
                "another revision, or another half of the model"
            )
    return found


def with_peft_start(prompt: Prompt, model: TableSource | None) -> Prompt:
    """The same where no vocabulary is at hand, which is read only if PEFT's configuration tells."""
    if prompt.config.get(_PEFT_START) != "TEXT":
        return prompt
    return with_start(prompt, vocabulary_of(prompt, model))


def with_start(prompt: Prompt, vocabulary: Vocabulary) -> Prompt:
    """The prompt with the tokens it started from, when PEFT's configuration gives them as text.

    PEFT's rule (peft 0.21, `tuners/prompt_tuning/model.py`): the text's tokens, special ones
    included, repeated or cut to the rows of all halves.
    """
    if not isinstance(prompt, SoftPrompt) or prompt.init_token_ids is not None:
        return prompt
    text = _start_text(prompt, vocabulary)
    ids = vocabulary.encode_special(text) if text else None
    if not ids or max(ids) >= len(vocabulary):
        return prompt
    skipped = len(prompt) if prompt.submodule == "decoder" else 0
    cycle = tuple(ids[row % len(ids)] for row in range(skipped, skipped + len(prompt)))
    return dataclasses.replace(prompt, init_token_ids=cycle)


def _start_text(prompt: SoftPrompt, vocabulary: Vocabulary) -> str | None:
    """The text of PEFT's TEXT initialisation, if this vocabulary's tokenizer is the one it used."""
    config: dict[str, Any] = dict(prompt.config)
    text = config.get("prompt_tuning_init_text")
    if prompt.method != "prompt_tuning" or config.get(_PEFT_START) != "TEXT":
        return None
    if not isinstance(text, str) or config.get("tokenizer_kwargs") or vocabulary.codec is None:
        return None
    tokenizer = config.get("tokenizer_name_or_path")
    return text if tokenizer in (None, prompt.base_model, vocabulary.name) else None
