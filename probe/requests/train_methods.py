"""The training methods: what is known of each of them before it is built; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from probe.prompt import Method  # whose module needs numpy

TrainMethod = Literal["prompt_tuning", "p_tuning", "prefix_tuning", "pez", "mixture"]


@dataclass(frozen=True)
class MethodSpec:
    """What is known of a method before its module is made."""

    injects: Literal["rows", "prefix"] = "rows"
    """Rows of embeddings, or keys and values of every layer."""
    saved_as: Method = "prompt_tuning"
    """The method that the saved prompt names: rows are read alike, however they were trained."""
    options: tuple[str, ...] = ()
    """Fields of `TrainConfig` that only this method reads, or few do."""
    keeps_rows: bool = True
    """Whether checkpoints hold the rows themselves, as the parameter `rows`."""
    trains_tokens: bool = False
    """Whether its rows are embeddings of tokens throughout."""
    words: str = ""
    """How papers write its name, where that is not how it is asked for."""


METHODS: Mapping[str, MethodSpec] = {
    "prompt_tuning": MethodSpec(),
    "p_tuning": MethodSpec(
        saved_as="p_tuning",
        options=("encoder", "encoder_width"),
        keeps_rows=False,
        words="P-tuning",
    ),
    "prefix_tuning": MethodSpec(
        injects="prefix",
        saved_as="prefix_tuning",
        options=("projection", "tie_layers", "encoder_width"),
        keeps_rows=False,
    ),
    "pez": MethodSpec(trains_tokens=True, words="PEZ"),
    "mixture": MethodSpec(keeps_rows=False),
}


def injects_prefix(method: str | None) -> bool:
    """Whether a method trains keys and values; False of methods that are not known."""
    spec = METHODS.get(method or "")
    return spec is not None and spec.injects == "prefix"


def trains_tokens(method: str | None) -> bool:
    """Whether a method trains embeddings of tokens; False of methods that are not known."""
    spec = METHODS.get(method or "")
    return spec is not None and spec.trains_tokens


def name_methods(injects: Literal["rows", "prefix"]) -> str:
    """The methods that train rows, or prefixes, in a sentence: `prompt_tuning, p_tuning or pez`."""
    *others, last = [name for name, spec in METHODS.items() if spec.injects == injects]
    return f"{', '.join(others)} or {last}" if others else last


def method_words(method: str) -> str:
    """A method as papers write it: `P-tuning`, `prompt tuning`."""
    spec = METHODS.get(method)
    return (spec and spec.words) or method.replace("_", " ")
