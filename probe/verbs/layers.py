"""What the model's own insides say a prompt means: logit lens, value lens, descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from probe.analysis.lens import Lens, logit_lens
from probe.analysis.patching import DEFAULT_TARGET, Descriptions
from probe.analysis.patching import describe as described
from probe.analysis.value_lens import ValueLens, value_lens
from probe.errors import NotDecodableError, ProbeError
from probe.prompt import KVPrefix, SoftPrompt
from probe.requests import LensRequest, takes
from probe.results import Result
from probe.task import split_words
from probe.verbs.decoding import vocabulary_of
from probe.verbs.prompts import LoadedPrompt, load_single, open_model

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from probe.models import FrozenModel


@dataclass(frozen=True)
class LensReading(Result):
    """What `probe lens` found."""

    model: str
    kind: Literal["logit", "value"]
    """`value` for key/value prefixes, `logit` for rows of embeddings."""
    lens: Lens | ValueLens
    descriptions: Descriptions | None = None
    _whole: ClassVar[str] = "lens"

    def headline(self) -> list[str]:
        """What the layers read, then what descriptions name."""
        return super().headline() + (self.descriptions.headline() if self.descriptions else [])

    def figures(self) -> dict[str, go.Figure]:
        """Of the lens, then of the descriptions."""
        return super().figures() | (self.descriptions.figures() if self.descriptions else {})


@takes(LensRequest)
def lens(asked: LensRequest) -> LensReading:
    """What each position would predict at each layer, beside random rows of the same norms.

    Raises:
        ModelNotFoundError: no model is known, or it cannot be loaded.
        ProbeError: the prompt cannot be read or does not fit, or the model has no unembedding.
        ValueError: a bad k, draws or target.
    """
    loaded = load_single(asked)
    one = loaded.single
    if asked.describe and isinstance(one, KVPrefix):
        raise NotDecodableError(
            f"{one.name} is a key/value prefix: it has no hidden states to describe; its values "
            "can be read without --describe"
        )
    counted = _terms(loaded, asked.term) if asked.describe else ()
    tokens = vocabulary_of(one, asked.model).tokens
    from probe.models import unembedder

    opened = open_model(asked, [loaded])
    opened.injection_of([one])  # a prompt that does not fit says so before anything is computed
    unembed = unembedder(opened)
    sizes: dict[str, int] = {"k": asked.k, "draws": asked.draws, "seed": asked.seed}
    if isinstance(one, KVPrefix):
        from probe.models import value_projector

        values = value_lens(one, value_projector(opened), unembed, tokens, **sizes)
        return LensReading(str(loaded.model), "value", values)
    from probe.models import tracer

    read = logit_lens(one, tracer(opened), unembed, tokens, **sizes)
    words = _described(opened, one, counted, asked) if asked.describe else None
    return LensReading(str(loaded.model), "logit", read, words)


def _described(
    model: FrozenModel, prompt: SoftPrompt, terms: Sequence[str], asked: LensRequest
) -> Descriptions:
    from probe.models import patcher, tracer

    target = asked.target or DEFAULT_TARGET
    sizes = {"draws": asked.draws, "seed": asked.seed}
    return described(prompt, tracer(model), patcher(model), terms, target=target, **sizes)


def _terms(loaded: LoadedPrompt, given: Sequence[str]) -> tuple[str, ...]:
    """The class names asked for, else those the prompt or its task is known by."""
    from probe.datasets import load_wording, task_names

    found = tuple(given) or split_words(loaded.own_words[1])[0]
    if not found and loaded.one.task in task_names():
        found = load_wording(str(loaded.one.task)).label_words
    if not found:
        raise ProbeError(
            f"{loaded.name} does not tell its label words: name the classes a description is "
            "searched for with --term (term= in Python)"
        )
    return found
