"""What one training run is asked to do: every choice, its default and why one would change it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from probe.errors import TrainingError
from probe.requests.base import Option
from probe.requests.sources import read_number_or_none
from probe.requests.train_methods import METHODS, TrainMethod, name_methods
from probe.texts import closest, did_you_mean

Encoder = Literal["lstm", "mlp"]
Objective = Literal["full", "label_words", "paper", "distill"]
Optimiser = Literal["adamw", "adafactor"]
Schedule = Literal["constant", "linear", "cosine"]

DEFAULT_LENGTH = 20
"""Virtual tokens, P, where nothing says how many."""


@dataclass(frozen=True)
class TrainConfig:
    """One prompt's training run; K of them train K prompts at once."""

    method: TrainMethod = "prompt_tuning"
    """prompt_tuning (Lester 2021), p_tuning (Liu 2021), prefix_tuning (Li & Liang 2021), pez
    (Wen 2023: every row is a real token's embedding) or mixture (every row is a softmax mixture of
    tokens' embeddings that narrows to one: its heaviest tokens are a text)."""
    length: int | None = None
    """Virtual tokens, P. Default: as many as the target, the start text or the start prompt has,
    else what is recommended for the model, else 20."""
    init: str = "vocab"
    """Where rows start: text:WORDS, labels, vocab, vocab:N (the first N tokens), random or
    prompt:PATH."""
    seed: int = 0
    """Decides the start, the order of the data and the dropout."""
    steps: int = 1000
    """Updates of the prompt; on smollm2 fewer by default, as recommended for it."""
    batch_size: int = 16
    """Examples per update."""
    learning_rate: Annotated[float | None, Option(flag="--lr")] = None
    """Highest rate. Default: what is recommended for the model; else for rows that are trained
    themselves the spread of the embedding table, which differs a hundredfold between models; 0.1
    for keys and values; 0.003 through an encoder or MLP."""
    schedule: Schedule = "linear"
    """How the rate falls after warm-up: constant, linear or cosine, to zero at the last step."""
    warmup_steps: int = 0
    """Steps during which the rate rises from zero."""
    optimiser: Optimiser = "adamw"
    """adamw, or adafactor without relative steps, as Lester et al. used it."""
    weight_decay: float = 0.0
    """Decoupled decay of the trained parameters."""
    clip_norm: Annotated[float | None, Option(parse=read_number_or_none, metavar="FLOAT|none")] = (
        1.0
    )
    """Gradients of one prompt longer than this are shortened to it; none never does."""
    dropout: float = 0.0
    """Share of the injected numbers that are zeroed at each step."""
    objective: Objective = "full"
    """Loss over the whole vocabulary, the label words only, as in the waywardness paper, or against
    a teacher (distill)."""
    teacher: str | None = None
    """Text whose effect is distilled into the prompt: the teacher is the frozen model with this
    text in the prompt's place. For `distill`."""
    gamma: float = 0.0
    """Weight of the mean squared distance to the target's embeddings (Khashabi 2022)."""
    target: str | None = None
    """Text to whose tokens the prompt is constrained; its length is the prompt's length."""
    encoder: Encoder = "lstm"
    """p_tuning: a bidirectional LSTM and an MLP, or the MLP alone."""
    encoder_width: int | None = None
    """Hidden width of the encoder of p_tuning or of the prefix MLP. Default: the model's width."""
    projection: Annotated[bool, Option(flag="--projection/--no-projection")] = False
    """prefix_tuning: train through the reparametrising MLP."""
    tie_layers: Annotated[bool, Option(flag="--tie-layers/--no-tie-layers")] = False
    """prefix_tuning of an encoder–decoder model with an even number of layers: the upper half
    repeats the lower half, the only such prefix that PEFT can express."""
    template: str | None = None
    """Where the rows stand: `{prompt:N}` N of them, `{text}` the example, other words are fixed
    anchors, e.g. `{prompt:3}{text} It was{prompt:2}`. Default: all rows before the task's."""
    eval_every: int = 100
    """Steps between validations; 0 never validates."""
    eval_examples: int = 200
    """At most so many validation examples, from all over the split, whatever the seed."""
    holdout: float = 0.1
    """Share of the training examples that validate where the task has no other, set aside whatever
    eval_every is; 0: none."""
    patience: int | None = None
    """Validations without improvement before the run stops early. Default: it never does."""
    checkpoint_every: int = 100
    """Steps between checkpoints."""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            TrainingError: a field is out of its range, or two contradict each other.
        """
        for name, (holds, expected) in _RULES.items():
            value = getattr(self, name)
            if not holds(value):
                listed = expected.removeprefix("one of ").split(", ")
                hint = did_you_mean(str(value), listed) if len(listed) > 2 else ""
                raise TrainingError(f"{name} must be {expected}, found {value!r}{hint}")
        self._check_together()

    def _check_together(self) -> None:
        prefix = METHODS[self.method].injects == "prefix"
        if self.gamma and self.target is None:
            raise TrainingError("gamma needs a target: give the text the prompt is constrained to")
        if prefix and self.target is not None:
            raise TrainingError(
                "a prefix lives in key/value space, so it has no distance to a target text: "
                f"choose {name_methods('rows')}"
            )
        if prefix and self.template is not None:
            raise TrainingError("a prefix stands before everything: leave the template out")
        if (self.objective == "distill") != (self.teacher is not None):
            raise TrainingError(
                "the objective distill and a teacher text belong together: give both, or neither"
            )
        if (self.projection or self.tie_layers) and not prefix:
            raise TrainingError(f"projection and tie_layers belong to {name_methods('prefix')}")

    @property
    def scored_objective(self) -> Objective:
        """What finished prompts are scored under: a teacher is there in training only."""
        return "full" if self.objective == "distill" else self.objective

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """A configuration from a document.

        Raises:
            TrainingError: a key is unknown or a value is out of its range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                near = closest(key, known)
                hint = f", did you mean {near[0]}?" if near else f": expected {', '.join(known)}"
                raise TrainingError(f"unknown training option {key!r}{hint}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The document `from_dict` reads."""
        return dataclasses.asdict(self)


INITS = "text:WORDS, labels, vocab, vocab:N, random, prompt:PATH"


def _is_init(value: object) -> bool:
    if not isinstance(value, str):
        return False
    kind, colon, rest = value.partition(":")
    if kind in ("text", "prompt"):
        return bool(colon and rest.strip())
    if kind == "vocab" and colon:
        return rest.isdecimal() and int(rest) > 0
    return kind in ("labels", "vocab", "random") and not colon


def _is_number(value: object) -> bool:
    """Whether a value is a finite number; True, a kind of int in Python, is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


_Rule = tuple[Callable[[Any], bool], str]
"""Whether a value holds, and what is expected, for the message."""


def _choice(kind: Any) -> _Rule:
    choices = get_args(kind)
    return lambda value: value in choices, f"one of {', '.join(choices)}"


def _whole(low: int) -> _Rule:
    return (
        lambda value: isinstance(value, int) and _is_number(value) and value >= low,
        f"a whole number ≥ {low}",
    )


def _or_none(rule: _Rule) -> _Rule:
    holds, expected = rule
    return lambda value: value is None or holds(value), expected


_NUMBER: _Rule = (lambda value: _is_number(value) and value >= 0, "a number ≥ 0")
_ABOVE_ZERO: _Rule = (lambda value: _is_number(value) and value > 0, "a number > 0")
_SHARE: _Rule = (lambda value: _is_number(value) and 0 <= value < 1, "a share ≥ 0 and below 1")
_SWITCH: _Rule = (lambda value: isinstance(value, bool), "true or false, without quotes")
_TEXT: _Rule = (
    lambda value: isinstance(value, str) and bool(value.strip()),
    "a text that is not empty",
)
_RULES: dict[str, _Rule] = {
    "method": _choice(TrainMethod),
    "length": _or_none(_whole(1)),
    "init": (_is_init, f"one of {INITS}"),
    "seed": _whole(0),
    "steps": _whole(1),
    "batch_size": _whole(1),
    "learning_rate": _or_none(_ABOVE_ZERO),
    "schedule": _choice(Schedule),
    "warmup_steps": _whole(0),
    "optimiser": _choice(Optimiser),
    "weight_decay": _NUMBER,
    "clip_norm": _or_none((_ABOVE_ZERO[0], "a number > 0, or None to never clip")),
    "dropout": _SHARE,
    "objective": _choice(Objective),
    "gamma": _NUMBER,
    "target": _or_none(_TEXT),
    "teacher": _or_none(
        (lambda value: isinstance(value, str), "a text; an empty one is the model alone")
    ),
    "encoder": _choice(Encoder),
    "encoder_width": _or_none(_whole(1)),
    "projection": _SWITCH,
    "tie_layers": _SWITCH,
    "template": _or_none(_TEXT),
    "eval_every": _whole(0),
    "eval_examples": _whole(1),
    "holdout": _SHARE,
    "patience": _or_none(_whole(1)),
    "checkpoint_every": _whole(1),
}
