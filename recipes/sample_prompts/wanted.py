"""Which sample prompts there are to be, and how each is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from probe.training import TrainConfig

Model = Literal["smollm2", "builtin", "minilm"]
Kind = Literal["text", "labels", "vocab", "ptuning", "prefix"]
DEFAULT_PAPER = ("sst2", "agnews", "subj", "trec")
"""SST-5 makes prompts hardly different from those of SST-2: trained when asked for."""
PAPER = ("sst2", "sst5", "agnews", "subj", "trec")
SHIPPED = ("mood", "number", "opinion", "tense", "shorten")
MODELS = get_args(Model)
KINDS: tuple[Kind, ...] = get_args(Kind)
BUILTIN: dict[str, Kind] = {
    "sst2": "text",
    "sst5": "text",
    "agnews": "vocab",
    "subj": "prefix",
    "trec": "text",
    "mood": "text",
    "number": "text",
    "opinion": "vocab",
    "tense": "text",
    "shorten": "text",
}
"""The one of each task on `builtin` that ships: the best on validation data, on SST-2 the best of
those with nearest tokens."""
STEPS = {"smollm2": 300, "builtin": 200, "minilm": 100}
"""Updates of each prompt."""
OTHER_STEPS: dict[tuple[str, ...], int] = {
    ("smollm2", "subj", "prefix"): 600,
    ("builtin", "sst2"): 500,
    ("builtin", "subj"): 500,
    ("builtin", "trec"): 300,
    ("builtin", "agnews"): 120,
    ("builtin", "mood"): 300,
    ("builtin", "number"): 300,
    ("minilm", "sst2"): 400,
    ("minilm", "agnews"): 80,
}
"""More where it was not enough, fewer where texts are long and learning is fast."""
_PREFIX_FROM_ROWS = (("smollm2", "subj"), ("builtin", "shorten"))
"""Prefixes that start from vocabulary rows."""


@dataclass(frozen=True)
class About:
    """What a task is, in words."""

    line: str
    """For people who browse the prompts."""
    instruction: str
    """Where prompts start that start from words."""


ABOUT = {
    "sst2": About(
        "SST-2: sentiment of film-review sentences",
        "Tell me whether the person who wrote this film review liked the film or did not like it.",
    ),
    "sst5": About(
        "SST-5: sentiment of film-review sentences in five steps",
        "Tell me how much the person who wrote this film review liked the film, from not at all "
        "to very much.",
    ),
    "agnews": About(
        "AG News: topic of a news story",
        "Read the news story and say whether it is about the world, sports, business or "
        "technology.",
    ),
    "subj": About(
        "Subj: opinion or plot fact",
        "Tell me whether this sentence gives an opinion about a film or says what happens in it.",
    ),
    "trec": About(
        "TREC: what a question asks for",
        "Read the question and say whether it asks for a description, a thing, a person, a place "
        "or a number.",
    ),
    "mood": About(
        "did it go well?", "Tell me whether things went well or badly for the one who wrote this."
    ),
    "number": About("one, or many?", "Tell me whether this sentence is about one or about many."),
    "opinion": About("a fact, or an opinion?", "Tell me whether this is a fact or only a view."),
    "tense": About("past, or present?", "Tell me whether this happened then or happens now."),
    "shorten": About(
        "who did what, and no more", "Say in a short sentence who did what, and leave out the rest."
    ),
}
_SMOLLM2: dict[str, Any] = {
    "length": 10,
    "warmup_steps": 20,
    "eval_every": 50,
    "eval_examples": 400,
    "method": "prompt_tuning",
    "learning_rate": 0.03,
}
"""Chosen on validation data by the search of `recipes/smollm2`."""
_SMOLLM2_KINDS: dict[Kind, dict[str, Any]] = {
    "ptuning": {"method": "p_tuning", "encoder": "mlp", "learning_rate": 0.003},
    "prefix": {"method": "prefix_tuning", "learning_rate": 0.01},
}
_HOW = {
    "text": "prompt tuning, started from an instruction in words",
    "labels": "prompt tuning, started from the label words",
    "vocab": "prompt tuning, started from sampled vocabulary rows",
    "ptuning": "P-tuning",
    "prefix": "prefix tuning, started from the label words",
}
_PREFIX_FROM_ROWS_HOW = "prefix tuning, started from sampled vocabulary rows"


@dataclass(frozen=True)
class Wanted:
    """One prompt to be trained."""

    model: Model
    task: str
    kind: Kind
    config: TrainConfig

    @property
    def name(self) -> str:
        """Folder name; `builtin` goes without saying."""
        return f"{'' if self.model == 'builtin' else self.model + '-'}{self.task}-{self.kind}"

    @property
    def how_made(self) -> str:
        """One line for the manifest."""
        from_rows = self.kind == "prefix" and self.config.init == "vocab"
        return _PREFIX_FROM_ROWS_HOW if from_rows else _HOW[self.kind]


def kinds_that_ship(model: Model, task: str) -> Sequence[Kind]:
    """How the sample prompts of a task on a model are trained."""
    if model == "builtin":
        return (BUILTIN[task],)
    return ("text", "vocab") if model == "smollm2" and task in SHIPPED else KINDS


def wanted_prompts(
    model: Model, task: str, steps: int | None, seed: int, kinds: Sequence[Kind] | None = None
) -> list[Wanted]:
    """The prompts of one task on one model.

    Args:
        model: base model.
        task: name of a task of the paper or of a shipped one.
        steps: updates of each; None takes those of `STEPS` and `OTHER_STEPS`.
        seed: of start, order and dropout.
        kinds: how they train, without what the model or the task cannot; None takes those that
            ship.
    """
    kinds = kinds_that_ship(model, task) if kinds is None else kinds
    return [
        Wanted(
            model,
            task,
            kind,
            TrainConfig(
                **_settings(model, task, kind), steps=steps or _steps(model, task, kind), seed=seed
            ),
        )
        for kind in kinds
        if _can_be(model, task, kind)
    ]


def _can_be(model: Model, task: str, kind: Kind) -> bool:
    generates = task == "shorten"
    if model == "minilm" and (generates or kind == "prefix"):  # an encoder writes nothing
        return False
    return not (generates and kind == "labels")


def _steps(model: Model, task: str, kind: Kind) -> int:
    usual = OTHER_STEPS.get((model, task), STEPS[model])
    return OTHER_STEPS.get((model, task, kind), usual)


def packed(prompts: Sequence[Wanted]) -> list[list[Wanted]]:
    """What trains in one pass: prompts of one task, prefixes apart from rows."""
    prefixes = [prompt for prompt in prompts if prompt.kind == "prefix"]
    rows = [prompt for prompt in prompts if prompt.kind != "prefix"]
    return [group for group in (rows, prefixes) if group]


def _settings(model: Model, task: str, kind: Kind) -> dict[str, Any]:
    """Method, start and rate: first choices from short tries, which the README lists."""
    inits = {
        "text": f"text:{ABOUT[task].instruction}",
        "labels": "labels",
        "vocab": "vocab",
        "ptuning": "random",
        "prefix": "vocab" if (model, task) in _PREFIX_FROM_ROWS else "labels",
    }
    if model == "smollm2":
        return _SMOLLM2 | _SMOLLM2_KINDS.get(kind, {}) | {"init": inits[kind]}
    easy = task in SHIPPED
    # The whole vocabulary's loss mostly teaches a small model which words can follow at all.
    common: dict[str, Any] = {
        "init": inits[kind],
        "length": 20,
        "objective": "full" if easy else "label_words",
        "warmup_steps": 20,
        "eval_every": 50,
        "eval_examples": 400,
    }
    if kind == "prefix":
        return common | {"method": "prefix_tuning", "learning_rate": 0.1}
    if kind == "ptuning":
        return common | {"method": "p_tuning", "learning_rate": 0.003}
    rate = 0.01 if model == "minilm" else 0.05 if easy else 0.2
    return common | {"method": "prompt_tuning", "learning_rate": rate}
