"""Fields that several requests have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from probe.live import LiveModel, LivePrompt, each_adapter, is_peft, live_model
from probe.requests.base import Field, Option, Request, RequestError, is_object
from probe.requests.sources import (
    LabelWord,
    ModelSource,
    Place,
    PromptSource,
    Table,
    read_label_word,
)

Split = Literal["test", "validation", "train"]
Dtype = Literal["float32", "bfloat16", "float16"]
Metric = Literal["cosine", "l2", "dot"]


@dataclass(frozen=True, kw_only=True)
class OfObjects(Request):
    """Prompts and models that may be objects in memory."""

    adapter: Annotated[str | None, Option(shown=False)] = None
    """Which adapter of a PEFT model in memory. Default: its active one, or each where several
    prompts are asked for."""
    tokenizer: Annotated[Any | None, Option(shown=False)] = None
    """Of a base model in memory. Default: the one beside the files that it was loaded from."""

    def __post_init__(self) -> None:
        """Take objects in memory, and check every field.

        Raises:
            RequestError: a field is out of its range, two contradict each other, or a tokenizer
                comes without its model.
        """
        super().__post_init__()
        given = [getattr(self, name, None) for name in ("prompt", "model")]
        given += getattr(self, "prompts", ())
        if self.tokenizer is not None and not any(map(_brings_model, given)):
            raise RequestError(
                "tokenizer belongs to a model in memory, found none: give the model too (model=), "
                "or leave it out",
                "tokenizer",
            )

    def spread(self, field: Field, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Each adapter of a PEFT model among several prompts, unless one is named."""
        if field.option.complete != "prompt" or self.adapter is not None:
            return values
        return tuple(one for value in values for one in each_adapter(value, self.tokenizer))

    def take(self, field: Field, value: Any) -> Any:
        """An object in memory with its adapter and tokenizer; any other value as it is."""
        if field.option.complete == "prompt":
            return self._prompt(value)
        if field.option.complete == "model" and is_object(value):
            return live_model(value, self.tokenizer)
        return value

    def _prompt(self, value: Any) -> Any:
        if isinstance(value, LivePrompt):
            return value
        if self.adapter is not None and not is_peft(value):
            raise RequestError(
                f"adapter names one of a PEFT model in memory, found a {type(value).__name__}: "
                "leave it out",
                "adapter",
            )
        return LivePrompt(value, self.adapter, self.tokenizer) if is_object(value) else value


def _brings_model(given: object) -> bool:
    """Whether a prompt or a model is, or comes with, a base model in memory."""
    return isinstance(given, LiveModel) or (isinstance(given, LivePrompt) and is_peft(given.value))


@dataclass(frozen=True, kw_only=True)
class InVocabulary(OfObjects):
    """In which embedding table, given itself."""

    vocabulary: Annotated[Table | None, Option(shown=False)] = None
    """The table itself in place of its model, as `Vocabulary.from_model(model, tokenizer)`."""

    def __post_init__(self) -> None:
        """Take the table for the model, and check every field.

        Raises:
            RequestError: both are given, or another field is out of its range.
        """
        if self.vocabulary is not None:
            if getattr(self, "model", None) is not None:
                raise RequestError("give vocabulary or model, not both", "vocabulary")
            object.__setattr__(self, "model", self.vocabulary)
            object.__setattr__(self, "vocabulary", None)
        super().__post_init__()


@dataclass(frozen=True)
class OfPrompt(OfObjects):
    """One prompt."""

    prompt: Annotated[PromptSource, Option(positional=True, complete="prompt")]
    """A file or folder (PATH#NAME picks one prompt of several), a workspace prompt (NAME or
    NAME@VERSION), a sample prompt, or a hub id."""


@dataclass(frozen=True)
class OfPrompts(OfObjects):
    """One or more prompts."""

    prompts: Annotated[tuple[PromptSource, ...], Option(positional=True, complete="prompt")]
    """A file or folder (PATH#NAME picks one prompt of several), a workspace prompt (NAME or
    NAME@VERSION), a sample prompt, or a hub id."""


@dataclass(frozen=True, kw_only=True)
class OfModel(OfObjects):
    """Which base model, where it is not the prompt's own."""

    model: Annotated[ModelSource | None, Option(complete="model")] = None
    """Base model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. Default: the
    prompt's own."""


@dataclass(frozen=True, kw_only=True)
class OnDevice(Request):
    """Where and how precisely a frozen model runs."""

    device: str | None = None
    """As torch names it. Default: a GPU if there is one."""
    dtype: Dtype | None = None
    """Precision of the frozen model; prompts stay float32. Default: float32."""


@dataclass(frozen=True, kw_only=True)
class TrainedOn(OnDevice):
    """Likewise, of a model that prompts are trained on."""

    dtype: Dtype | None = None
    """Precision of the frozen model; prompts stay float32. In float16 small gradients become 0.
    Default: bfloat16 on GPUs that have it and, for GGUF files, on CPUs that have it; else
    float32."""


@dataclass(frozen=True, kw_only=True)
class OnFast(OnDevice):
    """Likewise, of a model that is also the teacher, or has text crammed into it."""

    dtype: Dtype | None = None
    """Precision of the frozen model; prompts stay float32. Default: bfloat16 on GPUs and CPUs that
    have it, else float32."""


@dataclass(frozen=True, kw_only=True)
class InFolder(Request):
    """Where the examples of tasks are read."""

    data_dir: Place | None = None
    """A folder of data sets with one folder per task."""


@dataclass(frozen=True, kw_only=True)
class OnData(InFolder):
    """Which columns of them."""

    text_column: Annotated[str | None, Option(metavar="NAME")] = None
    """The column of the rows that is {text}. Default: the task's own, else text."""
    label_column: Annotated[str | None, Option(metavar="NAME")] = None
    """The column of the rows that is the label. Default: the task's own, else label."""


@dataclass(frozen=True, kw_only=True)
class InWords(Request):
    """In which words a model is asked."""

    template: str | None = None
    """The model's input with {text}, or other columns of the data as {NAME}, in it. Default: the
    prompt's own, else the task's."""
    label_word: Annotated[tuple[LabelWord, ...], Option(parse=read_label_word)] = ()
    """Repeat it, once per label in label order; 'great|good' gives a label two words. Default: as
    the template."""


@dataclass(frozen=True, kw_only=True)
class Nearest(Request):
    """What near means, and how many are listed."""

    metric: Metric = "cosine"
    """What near means; cosine and dot, which favours long tokens: higher is closer, l2: lower."""
    k: Annotated[int, Option(flag="-k --k", minimum=1)] = 5
    """Tokens per position."""
