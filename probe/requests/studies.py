"""What `probe wayward` and `probe sweep` are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any, Literal

from probe.requests.base import Option, RequestError
from probe.requests.shared import InFolder, TrainedOn
from probe.requests.sources import (
    GridSource,
    Named,
    Place,
    read_numbers,
    read_whole_numbers,
)
from probe.requests.train_methods import METHODS, injects_prefix, name_methods

GAMMAS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
CONTROLS = ("nothing", "shuffled")
TARGET_SETS = ("definitions", "instructions", "web")


@dataclass(frozen=True, kw_only=True)
class InPacks(TrainedOn):
    """Where many trainings run, and how many at once."""

    ray: Annotated[str | None, Option(metavar="ADDRESS")] = None
    """Train on a Ray cluster: local starts one here, auto or HOST:PORT joins one. Default: in this
    process."""
    gpu_share: Annotated[float, Option(minimum=0)] = 0.0
    """GPUs that each worker on Ray takes, such as 0.25."""
    at_once: Annotated[int, Option(minimum=1)] = 8
    """Prompts trained at once, in one batch."""


@dataclass(frozen=True, kw_only=True)
class OfStudy(InPacks, InFolder):
    """What studies of tasks share: examples, and where they run."""

    validation_examples: Annotated[int, Option(minimum=1)] = 200
    """At most so many validation examples, drawn at random but always the same ones."""
    test_examples: Annotated[int, Option(minimum=1)] = 500
    """At most so many test examples, drawn at random but always the same ones."""


@dataclass(frozen=True)
class WaywardRequest(OfStudy):
    """Train prompts that must stay near given texts, and report what that costs them."""

    model: Annotated[tuple[Named, ...], Option(complete="model")] = ()
    """A frozen model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. Repeatable.
    Default: smollm2 where it is installed, else builtin."""
    task: Annotated[tuple[Named, ...], Option(required=True, complete="task")] = ()
    """A task with labels: its name, its task.toml or the folder of one. Repeatable."""
    targets: tuple[Named, ...] = TARGET_SETS
    """Target texts, repeatable: the sets definitions (what each task asks, said
    truly and wrongly), instructions and web (texts that have nothing to do with the tasks),
    text:WORDS, or a file: .txt with a text per line, .jsonl with text, kind and task, .toml with a
    table per task."""
    _: KW_ONLY
    target_count: Annotated[int | None, Option(minimum=1)] = None
    """At most so many targets of each set or file, from short to long. Default: all."""
    gamma: Annotated[tuple[float, ...], Option(parse=read_numbers)] = GAMMAS
    """Weights of the distance to the target, repeatable or with commas; 0, the baseline, is always
    among them."""
    seeds: Annotated[int, Option(minimum=1)] = 2
    """Runs that differ in nothing but the seed."""
    init: tuple[str, ...] = ("vocab", "target")
    """Where prompts start, repeatable: target (at the target's own embeddings, where a prompt may
    simply stay), vocab, random, labels, text:WORDS or prompt:PATH."""
    steps: Annotated[int, Option(minimum=1)] = 300
    """Updates of every prompt."""
    batch_size: Annotated[int, Option(minimum=1)] = 16
    """Examples per update."""
    lr: float | None = None
    """Highest rate. Default: the spread of the embedding table."""
    objective: Literal["full", "label_words", "paper"] = "full"
    """Loss over the whole vocabulary (full), the label words only, or as in the paper."""
    training: Annotated[Mapping[str, Any], Option(shown=False)] = field(default_factory=dict)
    """Further fields of `TrainConfig` for every prompt."""


@dataclass(frozen=True)
class SweepRequest(OfStudy):
    """Train every combination of a grid, and say which settings are worth their cost."""

    grid: Annotated[GridSource, Option(positional=True, required=True)]
    """A TOML file, or a question: length (does more than 20 tokens help?), size (do larger models
    need fewer tokens?)."""
    _: KW_ONLY
    task: Annotated[tuple[Named, ...], Option(complete="task")] = ()
    """A task's name, its task.toml or the folder of one. Repeatable, in place of the grid's."""
    model: Annotated[tuple[Named, ...], Option(complete="model")] = ()
    """A frozen model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. Repeatable, in
    place of the grid's."""
    length: Annotated[tuple[int, ...], Option(parse=read_whole_numbers)] = ()
    """Numbers of virtual tokens, repeatable or with commas, in place of the grid's."""
    seeds: Annotated[int | None, Option(minimum=1)] = None
    """Runs of each setting that differ in the seed, in place of the grid's."""
    steps: Annotated[int | None, Option(minimum=1)] = None
    """Updates of every prompt, in place of the grid's."""


@dataclass(frozen=True)
class BenchReadingsRequest(InPacks):
    """Count how often each reading finds the text that a prompt was distilled from."""

    model: Annotated[Named | None, Option(complete="model")] = None
    """A causal language model: smollm2, builtin, a folder, a GGUF file or a hub id. Default:
    smollm2 where it is installed, else builtin."""
    _: KW_ONLY
    texts: Place | None = None
    """A JSON-lines file, each line with a text, the words that name it and perhaps its kind, as
    {"text": "Talk like a pirate.", "words": ["pirate"]}. Default: 64 texts that come with probe."""
    limit: Annotated[int | None, Option(minimum=2)] = None
    """At most so many of the texts, from all over the file."""
    seeds: Annotated[int, Option(minimum=1)] = 2
    """Prompts of every text and condition, which differ in answers, start and order."""
    length: Annotated[tuple[int, ...], Option(parse=read_whole_numbers)] = (8,)
    """Prompt rows, repeatable or with commas. The first value of this and the five options below is
    what all conditions have but for one; each further value is a condition of its own."""
    lr: Annotated[tuple[float, ...], Option(parse=read_numbers)] = (0.02,)
    """Rates, repeatable or with commas."""
    steps: Annotated[tuple[int, ...], Option(parse=read_whole_numbers)] = (60,)
    """Numbers of updates of 8 contexts, repeatable or with commas."""
    init: tuple[str, ...] = ("vocab",)
    """Where rows start, repeatable: vocab (random tokens), unrelated (a text that is none of
    these), random or text:WORDS."""
    method: tuple[str, ...] = ("prompt_tuning",)
    """How rows are trained, repeatable: prompt_tuning, p_tuning, pez, or mixture, whose reading is
    a text; that wants --lr 0.3."""
    control: tuple[str, ...] = ()
    """Conditions of which nothing is to be read, repeatable: nothing (the teacher reads no text),
    shuffled (contexts have each other's answers)."""
    contexts: Place | None = None
    """A text file with a question or document per line; the last quarter is held out. Default: 64
    questions that come with probe."""
    readings: tuple[str, ...] = ()
    """Any of the readings of probe read, with commas between. Default: all."""
    distilled: tuple[Place, ...] = ()
    """Prompts that were distilled from these texts before, files or folders, repeatable: they are
    read, and none is trained."""
    write: Place | None = None
    """Also write the rates as JSON, in the shape of those that come with probe."""
    table: Place | None = None
    """Also write the rates as a table, to a new file that ends in .md or .csv."""

    def check(self) -> None:
        """Refuse conditions without a value, and controls that there are not."""
        for name in ("length", "lr", "steps", "init", "method"):
            if not getattr(self, name):
                raise RequestError(f"{name} must have a value, found none", name)
        for one in self.method:
            if one not in METHODS or injects_prefix(one):
                expected = name_methods("rows")
                raise RequestError(f"method must be {expected}, found {one!r}", "method")
        for one in self.control:
            if one not in CONTROLS:
                expected = ", ".join(CONTROLS)
                raise RequestError(f"control must be one of {expected}, found {one!r}", "control")
