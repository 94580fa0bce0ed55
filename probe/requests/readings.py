"""What is asked about what prompts are and mean, and about a token."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from probe.requests.base import Option, RequestError
from probe.requests.shared import (
    InVocabulary,
    Metric,
    Nearest,
    OfObjects,
    OfPrompt,
    OfPrompts,
    OnDevice,
    OnFast,
)
from probe.requests.sources import (
    Contexts,
    ModelSource,
    PromptSource,
    StepWatcher,
    TableSource,
    TokenSource,
)


@dataclass(frozen=True)
class InspectRequest(OfPrompts):
    """Say what each prompt is: kind, format, method, shape, base model, digest, norms."""


@dataclass(frozen=True)
class DecodeRequest(OfPrompt, Nearest, InVocabulary):
    """List the tokens each position is closest to, and say what that is worth."""

    model: Annotated[TableSource | None, Option(complete="model")] = None
    """Base model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. Default: the
    prompt's own."""
    _: KW_ONLY
    filter: tuple[str, ...] = ()
    """Which tokens may be neighbours, repeatable: special, byte or unused leaves those out; words
    keeps tokens that begin a word; regex:PATTERN keeps tokens that match."""
    one_to_one: bool = False
    """Give every position a token of its own."""
    controls: Annotated[bool, Option(flag="--controls/--no-controls")] = True
    """Compare with held-out tokens, the Gaussian and the isotropic control."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of the controls."""


@dataclass(frozen=True)
class ReadRequest(OfPrompt, InVocabulary, OnDevice):
    """Say what a prompt means, by readings whose hit rate is known."""

    model: Annotated[TableSource | None, Option(complete="model")] = None
    """Base model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. Default: the
    prompt's own."""
    _: KW_ONLY
    readings: tuple[str, ...] = ()
    """Any of nearest, displacement, displacement_centred, sparse, mixture, and of promoted, ask,
    gradient, lens and patching, which run the model, with commas between, or all. Default:
    nearest,displacement."""
    text_to_score: tuple[str, ...] = ()
    """A guess, repeatable: the share of the prompt's effect that this text has in its place. Runs
    the model."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Seed of controls, answers and intervals."""


@dataclass(frozen=True)
class FindRequest(InVocabulary):
    """Find the prompt positions closest to a token, across the library or in given prompts."""

    token: Annotated[TokenSource, Option(positional=True)]
    """A token as `probe decode` shows it (␣great; a real space will do), or #ID."""
    prompts: Annotated[tuple[PromptSource, ...], Option(positional=True, complete="prompt")] = ()
    """Search these only. A file or folder (PATH#NAME picks one prompt of several), a workspace
    prompt (NAME or NAME@VERSION), a sample prompt, or a hub id. Default: the whole library."""
    _: KW_ONLY
    model: Annotated[TableSource | None, Option(complete="model")] = None
    """Base model whose token is meant; the library's prompts on it are searched. Default: that of
    the named prompts; without any, smollm2 where it is installed, else builtin."""
    metric: Metric = "cosine"
    """What near means; cosine and dot, which favours long tokens: higher is closer, l2: lower."""
    k: Annotated[int, Option(flag="-k --k", minimum=1)] = 10
    """Positions to list."""


@dataclass(frozen=True)
class DistillRequest(OfObjects, OnFast):
    """Train a prompt to do what a text does, keep it in the workspace, and read it."""

    text: Annotated[str, Option(positional=True)]
    """What the prompt is to do, as a text would say it."""
    model: Annotated[ModelSource | None, Option(complete="model")] = None
    """A causal language model: smollm2, builtin, a folder, a GGUF file or a hub id. Default:
    smollm2 where it is installed, else builtin."""
    _: KW_ONLY
    length: Annotated[int, Option(minimum=1)] = 8
    """Prompt rows."""
    steps: Annotated[int, Option(minimum=1)] = 60
    """Updates of 8 contexts."""
    contexts: Annotated[Contexts | None, Option(metavar="FILE")] = None
    """A text file with a question or document per line; the last quarter is held out. Default: 32
    questions that come with probe."""
    frame: str | None = None
    """Where the prompt stands: chat, plain, or a template with {prompt} and {text}. Default: chat
    where the model has a chat template."""
    name: str | None = None
    """Of the prompt in the workspace. Default: from the text."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Of answers, start, order and intervals."""
    on_step: Annotated[StepWatcher | None, Option(shown=False)] = None
    """Called with every update."""


@dataclass(frozen=True)
class CramRequest(OfObjects, OnFast):
    """Train rows with which a frozen model writes a text exactly, as much of it as they hold."""

    text: Annotated[tuple[str, ...], Option(positional=True, metavar="TEXT|FILE")]
    """One or more texts, or text files of which each is a text."""
    model: Annotated[ModelSource | None, Option(complete="model")] = None
    """A causal language model: smollm2, builtin, a folder, a GGUF file or a hub id. Default:
    smollm2 where it is installed, else builtin."""
    _: KW_ONLY
    rows: Annotated[int, Option(minimum=1)] = 1
    """Prompt rows of each text."""
    tokens: Annotated[int | None, Option(minimum=1)] = None
    """At most so many tokens of each text. Default: all that the model has places for."""
    accuracy: Annotated[float, Option(minimum=0)] = 1.0
    """Share of the tokens that have to be the likeliest ones, each behind the true ones before it,
    for a beginning to count as held; 1 is exact."""
    steps: Annotated[int, Option(minimum=1)] = 2000
    """At most so many updates."""
    patience: Annotated[int, Option(minimum=1)] = 500
    """Updates without a longer beginning after which a text is given up."""
    lr: Annotated[float, Option(minimum=0)] = 0.3
    """Rate of the updates (AdamW), constant."""
    init: str = "random"
    """Where rows start: random, vocab, or text:WORDS."""
    name: str | None = None
    """Keep the rows in the workspace under this name. Default: they are not kept."""
    seed: Annotated[int, Option(minimum=0)] = 0
    """Of the start."""
    on_look: Annotated[StepWatcher | None, Option(shown=False)] = None
    """Called with every look at how far a text is."""

    def check(self) -> None:
        """Refuse shares that are none.

        Raises:
            RequestError: more than all tokens are to be right, or none.
        """
        if not self.text:
            raise RequestError("expected a text to cram, found none", "text")
        if not 0 < self.accuracy <= 1:
            raise RequestError(
                f"accuracy must be a share above 0 and at most 1, found {self.accuracy!r}",
                "accuracy",
            )
        if self.lr <= 0:
            raise RequestError(f"lr must be above 0, found {self.lr!r}", "lr")
