"""From prompts as a user names them to conditions under which their models are asked."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe import formats
from probe.analysis.mixing import strength_note
from probe.errors import ModelNotFoundError, NotDecodableError, ProbeError
from probe.live import as_live_prompt
from probe.notes import note
from probe.prompt import AnyPrompt, KVPrefix, PromptPair, SoftPrompt, default_name
from probe.requests import AblateRequest, KnockOutRequest, LensRequest, PruneRequest
from probe.requests.shared import OnDevice
from probe.requests.sources import PromptSource
from probe.store import Library, Workspace
from probe.tables import same_model
from probe.task import TEXT_SLOT, LabelWords, Task, split_words
from probe.texts import counted
from probe.verbs.checks import check_models, named_model
from probe.verbs.loading import missing_parts

if TYPE_CHECKING:
    from probe.evaluation import Condition
    from probe.models import FrozenModel
    from probe.requests.sources import ModelName, ModelSource


AskedOfOne = AblateRequest | KnockOutRequest | LensRequest | PruneRequest
"""What is asked of one prompt and its model."""


@dataclass(frozen=True, eq=False)
class LoadedPrompt:
    """A prompt ready to be used."""

    name: str
    prompt: SoftPrompt | KVPrefix | PromptPair
    model: ModelName
    """Its base model, or the one named in its place."""
    revision: str | None

    @property
    def one(self) -> AnyPrompt:
        """What tells of the whole: the prompt, or the encoder's half of a pair."""
        return self.halves[0]

    @property
    def halves(self) -> tuple[AnyPrompt, ...]:
        """The prompt, or both halves of a pair."""
        one = self.prompt
        return (one.encoder, one.decoder) if isinstance(one, PromptPair) else (one,)

    @property
    def single(self) -> AnyPrompt:
        """The prompt where it is no pair.

        Raises:
            NotDecodableError: it is.
        """
        if isinstance(self.prompt, PromptPair):
            raise NotDecodableError(
                f"{self.name} is an encoder and a decoder prompt: name one of them as PATH#NAME"
            )
        return self.prompt

    @property
    def own_words(self) -> tuple[str | None, LabelWords]:
        """The template and label words it was trained with; None and nothing where not known."""
        template, words = self.one.config.get("template"), self.one.config.get("label_words")
        return (
            template if isinstance(template, str) else None,
            tuple(map(_own_word, words)) if isinstance(words, list | tuple) else (),
        )

    def worded(self, task: Task, template: str | None, label_words: LabelWords) -> Task:
        """The task in the words asked for, else in those the prompt was trained with on it.

        Raises:
            ProbeError: there are not as many label words as labels, or the template has no place
                for the text.
        """
        own = self.own_words if self.one.task == task.name else (None, ())
        words = label_words or own[1] or task.words
        return in_words(task, template or own[0] or task.template, words)

    def labelling(self, template: str | None, label_words: LabelWords) -> Task:
        """A task made of the prompt's own words alone.

        Raises:
            ProbeError: it does not tell its label words, and none are given.
        """
        own = self.own_words
        words, synonyms = split_words(label_words or own[1])
        if len(words) < 2:
            raise ProbeError(
                f"{self.name} does not tell its label words: name its task, or give two or more "
                "label words"
            )
        with _explained():
            name = self.one.task or "labels"
            return Task(name, "classification", template or own[0] or TEXT_SLOT, words, synonyms)

    def writing(self, template: str | None) -> Task:
        """A task that has text continued, in the prompt's own template if none is given.

        Raises:
            ProbeError: the template has no place for the text.
        """
        with _explained():
            return Task("text", "generation", template or self.own_words[0] or TEXT_SLOT)

    def condition(self, task: Task) -> Condition:
        """The prompt put to the task."""
        from probe.evaluation import Condition

        training = self.one.config.get("training")
        paper = isinstance(training, dict) and training.get("objective") == "paper"
        objective: Any = "paper" if paper else "full"
        return Condition(self.name, task, self.prompt, objective=objective)


def load_prompts(
    prompts: Sequence[PromptSource],
    *,
    model: ModelSource | None,
    workspace: Workspace,
) -> list[LoadedPrompt]:
    """Every prompt with its model; prompts of one name are told apart by their sources.

    Raises:
        PromptFormatError: a prompt cannot be read, or a source holds several.
        ModelNotFoundError: no base model is known.
    """
    read = [_prompt(source, workspace) for source in prompts]
    names = [_name(prompt, source) for prompt, source in zip(read, prompts, strict=True)]
    repeated = {name for name, times in Counter(names).items() if times > 1}
    return [
        _loaded_prompt(prompt, f"{name} ({number})" if name in repeated else name, model)
        for number, (prompt, name) in enumerate(zip(read, names, strict=True), start=1)
    ]


def load_single(asked: AskedOfOne) -> LoadedPrompt:
    """The one prompt of a request, its model and the device known to be there.

    Raises:
        NotDecodableError: it is a pair.
        PromptFormatError: it cannot be read, or its source holds several.
        ModelNotFoundError: no base model is known, or there is no such model or device.
    """
    workspace = Workspace(asked.workspace)
    (loaded,) = load_prompts([asked.prompt], model=asked.model, workspace=workspace)
    _ = loaded.single
    check_models([(loaded.model, loaded.revision)], device=asked.device, workspace=workspace)
    return loaded


def open_model(asked: OnDevice, group: Sequence[LoadedPrompt]) -> FrozenModel:
    """The model that prompts share, with what is doubtful of them on it noted.

    Raises:
        ModelNotFoundError: it cannot be loaded.
    """
    from probe.models import load_model

    first, device, dtype = group[0], asked.device, asked.dtype
    opened = load_model(first.model, revision=first.revision, device=device, dtype=dtype)
    note_doubts(opened, group)
    return opened


def by_opened_model(
    asked: OnDevice, found: Sequence[LoadedPrompt]
) -> Iterator[tuple[FrozenModel, list[LoadedPrompt]]]:
    """Each model with its prompts, one at a time."""
    for group in by_model(found).values():
        yield open_model(asked, group), group


def by_model(
    found: Sequence[LoadedPrompt],
) -> dict[tuple[ModelName, str | None], list[LoadedPrompt]]:
    """The prompts of each model and revision, in order."""
    groups: dict[tuple[ModelName, str | None], list[LoadedPrompt]] = {}
    for loaded in found:
        groups.setdefault((loaded.model, loaded.revision), []).append(loaded)
    return groups


def in_words(task: Task, template: str, label_words: LabelWords) -> Task:
    """A task without its examples, in other words.

    Raises:
        ProbeError: there are not as many label words as labels, or the template has no place for
            the text.
    """
    words, synonyms = split_words(label_words)
    if len(words) != len(task.label_words):
        raise ProbeError(
            f"task {task.name} has {counted(len(task.label_words), 'label')} "
            f"({', '.join(task.label_words)}), found {counted(len(words), 'label word')} "
            f"({', '.join(words)}): give one word per label"
        )
    with _explained():
        return dataclasses.replace(
            task,
            template=template,
            label_words=words,
            synonyms=synonyms,
            train=(),
            validation=(),
            test=(),
        )


def note_doubts(opened: FrozenModel, group: Sequence[LoadedPrompt]) -> None:
    """Say of each prompt if its answers may not be its own: of another model, strength or part.

    A prompt that records the weights it was trained with is known by them, whatever their name.
    """
    for loaded in group:
        if _is_other_model(opened, loaded):
            note(
                f"{loaded.name} was trained on {loaded.one.base_model} and is asked on "
                f"{loaded.model}: unless that is a copy, its answers say nothing about the prompt"
            )
        for half in loaded.halves:
            if doubt := strength_note(half, opened.scale):
                note(doubt)
        _note_parts(opened, loaded)
        _note_factor(opened, loaded)
        for line in loaded.one.provenance.notes if loaded.one.provenance else ():
            note(f"{loaded.name}: {line}")


def _is_other_model(opened: FrozenModel, loaded: LoadedPrompt) -> bool:
    own = loaded.one.base_model
    if own is None or same_model(own, str(loaded.model)):
        return False
    recorded = loaded.one.config.get("model_sha256")
    return recorded is None or (
        recorded != opened.fingerprint and recorded != opened.fingerprint_in_bfloat16
    )


def _note_factor(opened: FrozenModel, loaded: LoadedPrompt) -> None:
    """Say if PEFT, which trained the prompt, fed the model's texts to it otherwise."""
    origin = loaded.one.provenance
    of_peft = origin is not None and origin.format == "peft"
    if of_peft and opened.input_factor != 1 and "model_sha256" not in loaded.one.config:
        note(
            f"{loaded.name} comes from PEFT, which leaves out the factor {opened.input_factor:.4g} "
            f"by which {loaded.model} multiplies what it looks up: prompt and text are read with "
            "it here, so the numbers are not those of PEFT"
        )


def _note_parts(opened: FrozenModel, loaded: LoadedPrompt) -> None:
    """Say if a prompt is but a part of what was trained, or is used otherwise than it was."""
    if missing := missing_parts(loaded.one):
        note(
            f"{loaded.name} is one part of what was trained: it is asked without {missing}, so its "
            "scores are not those of the whole"
        )
    if loaded.one.method == "trainable_tokens":
        note(
            f"{loaded.name} holds rows that replace those of tokens in the model's table: here "
            f"they stand in front of the text, as a soft prompt does{_unmultiplied(opened)}"
        )


def _unmultiplied(opened: FrozenModel) -> str:
    """What is said of rows of the table where the model multiplies what it looks up."""
    factor = f"{opened.scale.factor:.4g}"
    return "" if factor == "1" else f", and without the factor {factor} that the model gives them"


@contextmanager
def _explained() -> Iterator[None]:
    """A task's complaint about its words as an error for people."""
    try:
        yield
    except ValueError as error:
        raise ProbeError(str(error)) from error


def _prompt(source: PromptSource, workspace: Workspace) -> AnyPrompt | PromptPair:
    if isinstance(source, SoftPrompt | KVPrefix | PromptPair):
        return source
    library = Library(workspace)
    if not isinstance(source, str | Path):
        source = formats.one_adapter(as_live_prompt(source))
    trained = [prompt for prompt in library.load(source) if prompt.trained]
    halves = {prompt.submodule: prompt for prompt in trained}
    if len(trained) == 2 and set(halves) == {"encoder", "decoder"}:
        encoder, decoder = halves["encoder"], halves["decoder"]
        if isinstance(encoder, SoftPrompt) and isinstance(decoder, SoftPrompt):
            return PromptPair(encoder, decoder)
    return library.load_one(source)


def _own_word(word: object) -> str | tuple[str, ...]:
    return tuple(map(str, word)) if isinstance(word, list | tuple) and word else str(word)


def _name(prompt: AnyPrompt | PromptPair, source: object) -> str:
    if not isinstance(prompt, PromptPair):
        return prompt.name
    return default_name(source) if isinstance(source, str | Path) else "pair"


def _loaded_prompt(
    prompt: AnyPrompt | PromptPair, name: str, model: ModelSource | None
) -> LoadedPrompt:
    one = prompt.encoder if isinstance(prompt, PromptPair) else prompt
    if (asked := named_model(model) or one.live_model) is not None:
        return LoadedPrompt(name, prompt, asked, None)
    if one.base_model is None:
        raise ModelNotFoundError(
            f"{name} does not say which model it was trained on: name it with --model "
            "(model= in Python)"
        )
    return LoadedPrompt(name, prompt, one.base_model, one.revision)
