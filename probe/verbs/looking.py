"""What the model's own insides say a prompt means: logit lens, value lens, descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from probe.analysis.lens import Lens, logit_lens
from probe.analysis.patching import DEFAULT_TARGET, Descriptions
from probe.analysis.patching import describe as described
from probe.analysis.value_lens import ValueLens, value_lens
from probe.errors import NotDecodableError, ProbeError
from probe.prompt import AnyPrompt, KVPrefix, PromptPair, SoftPrompt
from probe.store import Workspace
from probe.task import split_words
from probe.verbs.asking import Asker, askers, note_doubts
from probe.verbs.checks import check_models
from probe.verbs.decoding import vocabulary_of
from probe.verbs.naming import option_names

if TYPE_CHECKING:
    import pandas as pd

    from probe.models import FrozenModel


@dataclass(frozen=True)
class LensReading:
    """What `probe lens` found."""

    model: str
    kind: Literal["logit", "value"]
    """`value` for key/value prefixes, `logit` for rows of embeddings."""
    lens: Lens | ValueLens
    descriptions: Descriptions | None = None

    def to_json(self) -> dict[str, Any]:
        """The document `probe lens --json` prints."""
        described = self.descriptions
        return {
            "model": self.model,
            "kind": self.kind,
            **self.lens.to_json(),
            "descriptions": None if described is None else described.to_json(),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per layer, position (and head) and rank."""
        return self.lens.to_frame()


@option_names(term="terms")
def lens(
    prompt: AnyPrompt | str | Path,
    *,
    model: str | Path | None = None,
    k: int = 5,
    describe: bool = False,
    terms: Sequence[str] = (),
    target: str = DEFAULT_TARGET,
    draws: int = 20,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    workspace: Workspace | None = None,
) -> LensReading:
    """What each position would predict at each layer, beside random rows of the same norms.

    Args:
        prompt: a prompt, or anything `load` takes that holds one.
        model: the frozen model; the prompt's own when None.
        k: tokens per position.
        describe: also have a causal model put the prompt's states into words.
        terms: class names counted in descriptions; the prompt's label words when empty.
        target: the text the states are put into, with `{prompt}` where they go.
        draws: random prompts beside it.
        seed: of the random rows.
        device: as torch names it; a GPU if there is one when None.
        dtype: precision of the model; float32 when None.
        workspace: the default one when None.

    Raises:
        ModelNotFoundError: no model is known, or it cannot be loaded.
        ProbeError: the prompt cannot be read or does not fit, or the model has no unembedding.
        ValueError: a bad k, draws or target.
    """
    (asker,) = askers([prompt], model=model, workspace=workspace or Workspace())
    one = _single(asker)
    if describe and isinstance(one, KVPrefix):
        raise NotDecodableError(
            f"{one.name} is a key/value prefix: it has no hidden states to describe; its values "
            "can be read without --describe"
        )
    counted = _terms(asker, terms) if describe else ()
    tokens = vocabulary_of(one, None if model is None else str(model)).tokens
    check_models([(asker.model, asker.revision)], device=device, workspace=workspace)
    from probe.models import load_model, unembedder

    opened = load_model(asker.model, revision=asker.revision, device=device, dtype=dtype)
    note_doubts(opened, [asker])
    opened.injection_of([one])  # a prompt that does not fit says so before anything is computed
    unembed = unembedder(opened)
    sizes: dict[str, int] = {"k": k, "draws": draws, "seed": seed}
    if isinstance(one, KVPrefix):
        from probe.models import value_projector

        values = value_lens(one, value_projector(opened), unembed, tokens, **sizes)
        return LensReading(asker.model, "value", values)
    from probe.models import tracer

    read = logit_lens(one, tracer(opened), unembed, tokens, **sizes)
    words = _described(opened, one, counted, target, draws, seed) if describe else None
    return LensReading(asker.model, "logit", read, words)


def _described(
    model: FrozenModel,
    prompt: SoftPrompt,
    terms: Sequence[str],
    target: str,
    draws: int,
    seed: int,
) -> Descriptions:
    from probe.models import patcher, tracer

    patch = patcher(model)
    return described(prompt, tracer(model), patch, terms, target=target, draws=draws, seed=seed)


def _single(asker: Asker) -> AnyPrompt:
    if isinstance(asker.prompt, PromptPair):
        raise ProbeError(
            f"{asker.name} is an encoder and a decoder prompt: name one of them as PATH#NAME"
        )
    return asker.prompt


def _terms(asker: Asker, given: Sequence[str]) -> tuple[str, ...]:
    """The class names asked for, else those the prompt or its task is known by.

    Raises:
        ProbeError: none are known.
    """
    from probe.datasets import load_wording, task_names

    found = tuple(given) or split_words(asker.own_words[1])[0]
    if not found and asker.one.task in task_names():
        found = load_wording(str(asker.one.task)).label_words
    if not found:
        raise ProbeError(
            f"{asker.name} does not tell its label words: name the classes a description is "
            "searched for with --term (terms= in Python)"
        )
    return found
