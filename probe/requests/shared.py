"""Fields that several requests have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from probe.requests.base import Option, Request
from probe.requests.sources import LabelWord, ModelSource, Place, PromptSource, read_label_word

Split = Literal["test", "validation", "train"]
Dtype = Literal["float32", "bfloat16", "float16"]
Metric = Literal["cosine", "l2", "dot"]


@dataclass(frozen=True)
class OfPrompt(Request):
    """One prompt."""

    prompt: Annotated[PromptSource, Option(positional=True, metavar="PROMPT", complete="prompt")]
    """A file or folder (PATH#NAME picks one prompt of several), a workspace prompt (NAME or
    NAME@VERSION), a sample prompt, or a hub id."""


@dataclass(frozen=True)
class OfPrompts(Request):
    """One or more prompts."""

    prompts: Annotated[
        tuple[PromptSource, ...],
        Option(positional=True, metavar="PROMPT", complete="prompt"),
    ]
    """A file or folder (PATH#NAME picks one prompt of several), a workspace prompt (NAME or
    NAME@VERSION), a sample prompt, or a hub id."""


@dataclass(frozen=True, kw_only=True)
class OfModel(Request):
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
