"""What is checked before torch is imported: the models and the device that a request names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from probe.datasets import load_wording
from probe.errors import ModelNotFoundError, NotComparableError, ProbeError
from probe.live import LiveModel, live_model
from probe.prompt import AnyPrompt, SoftPrompt
from probe.store import Workspace
from probe.tables import ModelFacts, load_vocabulary, model_facts
from probe.task import Task
from probe.template import every_word, may_begin_another, read_template, require_different
from probe.texts import did_you_mean
from probe.vocabulary import Vocabulary

if TYPE_CHECKING:
    from probe.requests.sources import ModelName, TableSource

_DEVICE = re.compile(r"(cpu|cuda|hpu|meta|mps|mtia|npu|xla|xpu)(:\d+)?")


def check_models(
    models: Iterable[tuple[ModelName, str | None]],
    *,
    device: str | None = None,
    workspace: str | PathLike[str] | None = None,
) -> list[ModelFacts]:
    """Find every model that will be loaded, and see that the device can be used.

    Args:
        models: names and revisions; each is looked at once.
        device: as torch names it; None: a GPU if there is one.
        workspace: whose prompts' base models are suggested; the default one when None.

    Raises:
        ModelNotFoundError: there is no such model or device.
        MissingExtraError: `minilm` is not installed.
    """
    check_device(device)
    return [_found(name, revision, workspace) for name, revision in dict.fromkeys(models)]


def check_study(
    models: Iterable[str],
    tasks: Iterable[str],
    *,
    device: str | None,
    workspace: str | PathLike[str] | None = None,
) -> None:
    """Find every model and task of a study, and see that the device can be used.

    Raises:
        ModelNotFoundError: there is no such model or device.
        DataError: there is no such task.
    """
    for task in tasks:
        load_wording(task)
    named = [(model, None) for model in models]
    require_readers(check_models(named, device=device, workspace=workspace))


def require_readers(models: Sequence[ModelFacts]) -> Sequence[ModelFacts]:
    """The models, if their files do not tell that one of them can read no soft prompt.

    Asked where a job is made, which would otherwise fail when its turn has come.

    Raises:
        ModelNotFoundError: they do.
    """
    for model in models:
        if model.reads_no_prompt:
            raise ModelNotFoundError(model.reads_no_prompt)
    return models


def require_writers(models: Iterable[ModelFacts]) -> None:
    """Refuse models that only label texts.

    Raises:
        ModelNotFoundError: one of them is an encoder.
    """
    for model in models:
        if not model.writes:
            raise ModelNotFoundError(
                f"{model.name} is an encoder, which writes no text: choose a causal or "
                "encoder–decoder model (`probe predict` labels texts)"
            )


def check_label_words(task: Task, objective: str, model: ModelFacts) -> None:
    """Refuse label words of which one can never win, before the model is loaded.

    Raises:
        RowError: one begins another, as the model's tokens.
    """
    whole = not model.writes or objective == "paper"
    if task.kind != "classification" or whole or not may_begin_another(task):
        return
    vocabulary, separator = load_vocabulary(model.source), read_template(task).separator
    if vocabulary.codec is not None:
        options = [tuple(vocabulary.encode(separator + word)) for word in every_word(task)]
        require_different(task, options, whole=False)


def check_width(prompt: AnyPrompt, model: ModelName) -> None:
    """Refuse rows that are no inputs of a model, before it is loaded.

    Raises:
        ModelNotFoundError: they are of another width.
    """
    if not isinstance(prompt, SoftPrompt):
        return
    if prompt.width != (width := load_vocabulary(model).width):
        own = "" if prompt.base_model is None else f", {prompt.base_model},"
        raise ModelNotFoundError(
            f"{prompt.name} has rows of width {prompt.width}, {model} reads rows of width {width}: "
            f"name the model that it was trained on{own} with --model (model= in Python)"
        )


def check_device(device: str | None) -> None:
    """Refuse a device that cannot be used; torch is asked only about others than the CPU.

    Raises:
        ModelNotFoundError: nothing can be computed on it.
    """
    if device in (None, "cpu"):
        return
    if not _DEVICE.fullmatch(str(device)):
        raise ModelNotFoundError(
            f"device must be one that PyTorch can use here, found {device!r}: choose cpu, cuda, "
            "cuda:NUMBER or mps"
        )
    from probe.models.loading import check_device as check

    check(str(device))


def _found(
    name: ModelName, revision: str | None, workspace: str | PathLike[str] | None
) -> ModelFacts:
    try:
        return model_facts(name, revision)
    except ModelNotFoundError as error:
        hint = "" if "did you mean" in str(error) else _like(str(name), Workspace(workspace))
        raise ModelNotFoundError(f"{error}{hint}") from error


def _like(name: str, workspace: Workspace) -> str:
    try:
        known = {card.base_model for card in workspace.list() if card.base_model}
    except ProbeError:
        return ""  # this refusal is about a model
    return did_you_mean(name, sorted(known - {name}))


def require_count(prompts: Sequence[AnyPrompt], least: int, what: str) -> None:
    """Refuse too few prompts.

    Raises:
        NotComparableError: there are fewer than that.
    """
    if len(prompts) < least:
        names = ", ".join(prompt.name for prompt in prompts) or "none"
        raise NotComparableError(f"{what} needs {least} or more trained prompts, found {names}")


def base_of(prompt: AnyPrompt) -> ModelName | None:
    """The base model a prompt is read on where none is named; None where it tells none."""
    return prompt.live_model or prompt.base_model


def place_of_model(model: TableSource | None) -> str | None:
    """What a kept prompt says of its base model: a name or a place; of one in memory its own."""
    named = named_model(model)
    return named.place if isinstance(named, LiveModel) else named


def named_model(model: TableSource | None) -> ModelName | None:
    """A base model as it was asked for: its name or place as text, or the object in memory.

    Raises:
        ModelNotFoundError: it is a table, which cannot be run.
    """
    if model is None or isinstance(model, LiveModel):
        return model
    if isinstance(model, Vocabulary):
        raise ModelNotFoundError(
            f"expected a model that can be run, found the vocabulary of {model.name} alone: give "
            "the model itself (model=)"
        )
    return str(model) if isinstance(model, str | Path) else live_model(model)
