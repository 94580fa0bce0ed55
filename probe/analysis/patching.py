"""Descriptions by patching: the model is asked to put a prompt's hidden states into words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from probe.analysis.lens import prompt_states, random_prompts
from probe.prompt import SoftPrompt
from probe.protocols import Patch, Trace
from probe.results import Result
from probe.texts import counted

PROMPT_SLOT = "{prompt}"
DEFAULT_TARGET = (
    "weekday: Monday, Tuesday, Friday\n"
    "metal: iron, copper, silver\n"
    "tool: hammer, chisel, saw\n"
    f"{PROMPT_SLOT}:"
)
"""Asks for a list of classes. Its own words are no label of the tasks people use."""


@dataclass(frozen=True)
class Description:
    """What the model wrote with one layer's states patched in."""

    layer: int
    """The states are taken from what enters this layer, and put in there."""
    text: str
    named: tuple[str, ...]
    """The terms it names."""
    class_rate: float
    """The share of the terms it names."""
    random_class_rate: float
    """The same of random rows, mean over the draws."""
    random_text: str
    """What the first draw brought."""


@dataclass(frozen=True)
class Descriptions(Result):
    """A prompt described from every layer, beside random rows described the same way."""

    prompt: str
    target: str
    terms: tuple[str, ...]
    draws: int
    seed: int
    """Of the random rows."""
    layers: tuple[Description, ...]
    best_class_rate: float
    """The highest of any layer."""
    random_best_class_rate: float
    """The highest of any layer of each draw, mean over the draws: the same choice, made for
    random rows."""
    p_value: float
    """(1 + draws whose best is as high) / (1 + draws)."""

    def _rows(self) -> list[dict[str, Any]]:
        """One row per layer."""
        return [{"prompt": self.prompt, **asdict(one)} for one in self.layers]


def describe(
    prompt: SoftPrompt,
    trace: Trace,
    patch: Patch,
    terms: Sequence[str],
    *,
    target: str = DEFAULT_TARGET,
    draws: int = 20,
    seed: int = 0,
) -> Descriptions:
    """Patch the prompt's hidden states into a text that asks for a description; count its classes.

    InSPEcT (Ramati et al. 2024, "Eliciting Textual Descriptions from Representations of Continuous
    Prompts"), after Patchscopes (Ghandeharioun et al. 2024): states are read where they enter
    a layer and put in where another text enters the same layer. The class rate is the share of
    the task's class names that the description holds, as whole words in any case.

    Args:
        prompt: P rows.
        trace: of a causal model.
        patch: of the same model.
        terms: class names, such as the label words.
        target: the text, with `{prompt}` where the states go.
        draws: prompts of random rows with the same norms, which pass through the same steps.
        seed: of the random rows.

    Raises:
        ValueError: there are no terms or no draws, or the target has no place for the states.
    """
    if not terms or draws < 1 or target.count(PROMPT_SLOT) != 1:
        raise ValueError(
            f"a description needs one class term or more, one draw or more and {PROMPT_SLOT} once "
            f"in its target, found {len(terms)} terms, {counted(draws, 'draw')} and {target!r}"
        )
    before, after = target.split(PROMPT_SLOT)
    rng = np.random.default_rng(seed)
    prompts = [prompt, *random_prompts(prompt, draws, rng)]
    states = np.stack([prompt_states(one, trace) for one in prompts])  # [1 + draws, L + 1, P, H]
    depth = states.shape[1] - 1
    written = [patch(states[:, layer], layer, before, after) for layer in range(depth)]
    rates = np.array([[class_rate(text, terms) for text in texts] for texts in written])
    best = rates.max(axis=0)
    layers = tuple(
        Description(
            layer=layer,
            text=texts[0],
            named=tuple(named_terms(texts[0], terms)),
            class_rate=float(rates[layer, 0]),
            random_class_rate=float(rates[layer, 1:].mean()),
            random_text=texts[1],
        )
        for layer, texts in enumerate(written)
    )
    return Descriptions(
        prompt=prompt.name,
        target=target,
        terms=tuple(terms),
        draws=draws,
        seed=seed,
        layers=layers,
        best_class_rate=float(best[0]),
        random_best_class_rate=float(best[1:].mean()),
        p_value=float((1 + (best[1:] >= best[0]).sum()) / (1 + draws)),
    )


def class_rate(text: str, terms: Sequence[str]) -> float:
    """The share of the terms that a text names."""
    return len(named_terms(text, terms)) / len(terms)


def named_terms(text: str, terms: Sequence[str]) -> list[str]:
    """The terms that stand in a text as whole words, in any case."""
    return [
        term
        for term in terms
        if re.search(rf"(?<!\w){re.escape(term.strip())}(?!\w)", text, re.IGNORECASE)
    ]
