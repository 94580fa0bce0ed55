"""Conditions of an evaluation: a task with a prompt, without one, with words instead."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from probe.analysis.decoding import require_decodable
from probe.analysis.neighbours import DEFAULT_METRIC, Metric, nearest_tokens
from probe.arrays import IntArray
from probe.errors import NotDecodableError
from probe.models import FrozenModel, Objective
from probe.prompt import AnyPrompt, KVPrefix, PromptPair, SoftPrompt, trained_method
from probe.protocols import ModelPrompt
from probe.task import Task, columns_of
from probe.template import without_slots
from probe.vocabulary import Vocabulary

Kind = Literal[
    "prompt",
    "zero_shot",
    "hard_prompt",
    "discretised",
    "shuffled",
    "random_tokens",
    "ensemble",
    "fine_tuned",
]
CONTROL_KINDS: tuple[Kind, ...] = ("shuffled", "random_tokens")
"""What a discretised prompt is compared with."""

PromptWording = tuple[str, tuple[str, ...], Objective]
"""Template, label words as `Task.spelled_words`, and objective."""


@dataclass(frozen=True, eq=False)
class Condition:
    """What one task is put to a model with: a prompt, none, or words instead."""

    name: str
    task: Task
    """Its template and label words are what the model reads."""
    prompt: ModelPrompt = None
    kind: Kind = "prompt"
    objective: Objective = "full"
    """`paper` scores the label with what follows it, the prompt in place of BOS."""
    instead_of: PromptWording | None = None
    """Of the condition that a baseline stands beside, where its own template differs."""

    @property
    def wording(self) -> PromptWording:
        """What conditions are grouped by: they compare fairly where it is the same."""
        return self.instead_of or (self.task.template, self.task.spelled_words, self.objective)

    @property
    def length(self) -> int:
        """Positions the prompt takes; 0 without one."""
        if isinstance(self.prompt, PromptPair):
            return max(len(self.prompt.encoder), len(self.prompt.decoder))
        return 0 if self.prompt is None else len(self.prompt)

    @property
    def method(self) -> str | None:
        """How its prompt was trained, as the training or else the prompt's file has it."""
        one = self.prompt.encoder if isinstance(self.prompt, PromptPair) else self.prompt
        return None if one is None or self.kind != "prompt" else trained_method(one)


def zero_shot(condition: Condition) -> Condition:
    """The model alone, in the words of another condition."""
    return _without_prompt(condition, condition.task.template, name="zero-shot", kind="zero_shot")


def hard_prompt(condition: Condition, text: str) -> Condition:
    """Hand-written words in place of a prompt.

    Args:
        condition: its template follows the words.
        text: the words; a text with `{text}`, or another column of the template, is the whole.
    """
    gap = "" if text[-1:].isspace() else " "
    whole = {"text", *condition.task.columns} & set(columns_of(text))
    template = text if whole else f"{text}{gap}{condition.task.template}"
    return _without_prompt(condition, template, name=f"hard prompt {text!r}", kind="hard_prompt")


def _without_prompt(condition: Condition, template: str, *, name: str, kind: Kind) -> Condition:
    # An empty slot would still cut the text in two for the tokenizer.
    task = dataclasses.replace(condition.task, template=without_slots(template))
    return Condition(name, task, None, kind, condition.objective, instead_of=condition.wording)


def discretised(
    model: FrozenModel,
    condition: Condition,
    vocabulary: Vocabulary,
    *,
    draws: int = 3,
    seed: int = 0,
) -> list[Condition]:
    """A prompt as its nearest tokens, then these in other orders, then as many random tokens.

    Args:
        model: feeds the tokens as it would feed text.
        condition: with the soft prompt.
        vocabulary: of the model.
        draws: of each control.
        seed: of the controls.

    Raises:
        NotDecodableError: the prompt lives in key/value space or has another width.
    """
    prompt = condition.prompt
    if not isinstance(prompt, SoftPrompt | KVPrefix):
        raise NotDecodableError(
            f"{condition.name} is no single prompt: discretise its halves one by one"
        )
    rng = np.random.default_rng(seed)
    nearest = discretise(prompt, vocabulary)
    made: list[tuple[Kind, SoftPrompt]] = [("discretised", nearest)]
    made += [("shuffled", shuffled(nearest, vocabulary, rng=rng)) for _ in range(draws)]
    made += [("random_tokens", random_tokens(prompt, vocabulary, rng=rng)) for _ in range(draws)]
    return [
        dataclasses.replace(condition, prompt=_as_fed(model, tokens), kind=kind)
        for kind, tokens in made
    ]


def _as_fed(model: FrozenModel, prompt: SoftPrompt) -> SoftPrompt:
    """The same tokens as the model embeds them in the precision it runs in."""
    ids = torch.tensor(prompt.config["token_ids"])
    return dataclasses.replace(prompt, embeddings=model.embed_ids(ids).cpu().numpy())


def discretise(
    prompt: AnyPrompt, vocabulary: Vocabulary, *, metric: Metric = DEFAULT_METRIC
) -> SoftPrompt:
    """Each row replaced by its nearest token's embedding.

    Raises:
        NotDecodableError: the prompt lives in key/value space or has another width.
    """
    prompt = require_decodable(prompt, vocabulary)
    ids = nearest_tokens(prompt.embeddings, vocabulary, metric, k=1).ids[:, 0]
    return _of_tokens(prompt, vocabulary, ids, "discretised")


def shuffled(
    nearest: SoftPrompt, vocabulary: Vocabulary, *, rng: np.random.Generator
) -> SoftPrompt:
    """A discretised prompt in another order: does word order carry anything?"""
    ids = rng.permutation(nearest.config["token_ids"])
    return _of_tokens(nearest, vocabulary, ids, "shuffled")


def random_tokens(
    prompt: AnyPrompt, vocabulary: Vocabulary, *, rng: np.random.Generator
) -> SoftPrompt:
    """As many tokens drawn at random from those some text can reach.

    Raises:
        NotDecodableError: the prompt lives in key/value space or has another width.
    """
    prompt = require_decodable(prompt, vocabulary)
    masks = vocabulary.masks
    ids = rng.choice(np.flatnonzero(~masks.special & ~masks.unused), size=len(prompt))
    return _of_tokens(prompt, vocabulary, ids, "random tokens")


def _of_tokens(prompt: SoftPrompt, vocabulary: Vocabulary, ids: IntArray, how: str) -> SoftPrompt:
    return dataclasses.replace(
        prompt,
        name=f"{prompt.name} ({how})",
        embeddings=vocabulary.rows(ids),
        init_token_ids=None,
        provenance=None,
        metrics={},
        config={"token_ids": [int(i) for i in ids], "from": prompt.name},
    )
