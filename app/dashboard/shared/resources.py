"""What the pages share: the library, models and decodings, each read once and kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st

from dashboard.shared.limits import costly
from dashboard.shared.public_demo import is_public, read_only
from probe.analysis.decoding import Decoding
from probe.analysis.neighbours import Metric
from probe.datasets import load_wording, task_names
from probe.datasets.paper import PAPER_TASKS
from probe.errors import ProbeError
from probe.paths import at_home
from probe.prompt import AnyPrompt
from probe.store import (
    Card,
    Workspace,
    load_sample,
    sample_card,
    sample_facts,
    sample_folders,
)
from probe.tables import ALWAYS_NAMED, default_model
from probe.tables.files import PIPELINE_INDEX
from probe.tables.named import stamp_of
from probe.verbs.decoding import decode, vocabulary_of
from probe.verbs.reading import ReadPrompt, read
from probe.vocabulary import Vocabulary


@dataclass(frozen=True)
class Entry:
    """A prompt of the library."""

    id: str
    """`name@version` in the workspace; a sample has its bare name."""
    card: Card
    source: Literal["sample", "yours"]


class OtherModel(str):
    """A model that somebody names in place of a prompt's own; a cache knows it by its files."""

    __slots__ = ()


def files_of(model: str | None) -> tuple[tuple[str, int, int], ...]:
    """Which files a model has here and when each was written.

    A prompt's file may name any folder of this machine: only one that holds a model is walked.
    """
    if model is None or model in ALWAYS_NAMED or not is_local(model):
        return ()
    place = at_home(model)
    walked = place.is_file() or any((place / name).is_file() for name in _MODEL_FOLDERS)
    return tuple(sorted(one for at in ([place] if walked else place.glob("*.gguf"))
                        for one in stamp_of(at)))  # fmt: skip


def vectors_of(entry: Entry) -> tuple[str, str, str | None]:
    """What a cache knows an entry's vectors by, whatever becomes of its note or its tags."""
    return entry.id, entry.card.created, entry.card.sha256


SAME_VECTORS: dict[Any, Any] = {
    Entry: lambda entry: (vectors_of(entry), files_of(entry.card.base_model)),
    OtherModel: lambda model: (str(model), files_of(model)),
}
"""What is computed of an entry on a model stays right while both are what they were."""
_MODEL_FOLDERS = ("config.json", PIPELINE_INDEX)


def workspace() -> Workspace:
    """The user's workspace, `$PROBE_HOME` or the platform's data folder; visitors only look."""
    return read_only(Workspace()) if is_public() else Workspace()


def library() -> list[Entry]:
    """The user's prompts, newest first, then the samples, those on the default model first."""
    return list(_entries().values())


def find(entry_id: str) -> Entry | None:
    """The entry of an id, if it is still there."""
    return _entries().get(entry_id)


def known_tasks(*, on_hub: bool = True) -> dict[str, str]:
    """Tasks by what `load_task` takes, with how each is called here; one's own come first.

    Args:
        on_hub: with those whose rows are fetched from the hub.
    """
    own = workspace().tasks
    tasks = {str(own.path(name)): f"{name} (yours)" for name in own.names()}
    tasks |= {name: name for name in task_names() if name not in PAPER_TASKS}
    return tasks | ({name: f"{name} (from the hub)" for name in PAPER_TASKS} if on_hub else {})


@st.cache_data(show_spinner=False, max_entries=256)
def task_has_labels(task: str) -> bool:
    """Whether a task's answers are labels, and no texts."""
    return load_wording(task).kind == "classification"


def prompt_of(entry: Entry) -> AnyPrompt:
    """The vectors of an entry.

    Raises:
        ProbeError: its file is damaged or gone.
    """
    if entry.source == "sample":
        return _samples()[entry.id][1]
    space = workspace()
    return _stored_prompt(space, *vectors_of(entry), str(space.root))


def other_than_own(entry: Entry, model: str) -> str | None:
    """What a verb is to be told of the model: nothing where it is the prompt's own.

    A verb that is told none reads the revision that the prompt was trained on.
    """
    return None if model == entry.card.base_model else model


def vocabulary(entry: Entry, model: str) -> Vocabulary:
    """The tokens and the table an entry is compared with.

    Raises:
        ProbeError: the model cannot be found or read.
    """
    return vocabulary_for(prompt_of(entry), model)


@st.cache_data(
    show_spinner="Comparing every row with every token …", max_entries=64, hash_funcs=SAME_VECTORS
)
@costly
def decoding(
    entry: Entry,
    model: str,
    *,
    metric: Metric,
    k: int,
    filters: tuple[str, ...],
    one_to_one: bool,
) -> Decoding:
    """The decoding of an entry with its controls, computed once.

    Raises:
        ProbeError: the prompt has no nearest tokens in this model.
        ValueError: a filter is malformed or leaves no token.
    """
    return decode(
        prompt_of(entry).renamed(entry.id),
        model=vocabulary(entry, model),
        metric=metric,
        k=k,
        filter=filters,
        one_to_one=one_to_one,
    )


@st.cache_data(
    show_spinner="Reading what training added …", max_entries=64, hash_funcs=SAME_VECTORS
)
@costly
def reading(entry: Entry, model: str) -> ReadPrompt:
    """What an entry means by its nearest tokens and its displacement, read once.

    Raises:
        ProbeError: the prompt has neither in this model.
    """
    prompt, other = prompt_of(entry).renamed(entry.id), other_than_own(entry, model)
    return read(prompt, other, readings=("nearest", "displacement"))


@st.cache_data(show_spinner=False, max_entries=16, hash_funcs=SAME_VECTORS)
def norm_range(entry: Entry, model: str) -> tuple[float, float] | None:
    """5th and 95th percentile of a vocabulary's norms; None where it cannot be read."""
    try:
        table = vocabulary(entry, model)
    except ProbeError:
        return None
    low, high = np.quantile(table.norms, [0.05, 0.95])
    return float(low), float(high)


def is_local(model: str) -> bool:
    """Whether a model is read from this machine, so that opening it asks nobody anything."""
    if model in ALWAYS_NAMED:
        return True
    network_path = model.startswith(("//", "\\\\"))
    return not network_path and Path(model).expanduser().exists()


def _entries() -> dict[str, Entry]:
    return _listed(workspace())


@st.cache_resource(
    show_spinner=False, max_entries=4,
    hash_funcs={Workspace: lambda space: (str(space.root), space.stamp())},
)  # fmt: skip
def _listed(space: Workspace) -> dict[str, Entry]:
    """Entries by id; nobody may change what this returns.

    Reading a thousand cards takes 30 ms, and a page asks several times.
    """
    cards = sorted(space.list(), key=lambda card: card.created, reverse=True)
    samples = [Entry(name, card, "sample") for name, (card, _) in _samples().items()]
    first = default_model()
    samples.sort(key=lambda entry: entry.card.base_model != first)  # and by name, as they were
    return {entry.id: entry for entry in [Entry(c.id, c, "yours") for c in cards] + samples}


def vocabulary_for(prompt: AnyPrompt, model: str) -> Vocabulary:
    """The tokens and the table a prompt is compared with.

    Raises:
        ProbeError: the model cannot be found or read.
    """
    own = model == prompt.base_model
    revision = prompt.revision if own else None
    return _table(
        prompt, None if own else model, model, revision, prompt.submodule, files_of(model)
    )


@st.cache_resource(show_spinner="Reading the embedding table …", max_entries=4)
def _table(_prompt: AnyPrompt, other: str | None, *which: object) -> Vocabulary:  # noqa: ARG001
    return vocabulary_of(_prompt, other)


@st.cache_resource(show_spinner=False, max_entries=2000)
def _stored_prompt(_space: Workspace, id_: str, *which: object) -> AnyPrompt:  # noqa: ARG001
    return _space.get(id_)


@st.cache_resource(show_spinner="Reading the sample prompts …")
def _samples() -> dict[str, tuple[Card, AnyPrompt]]:
    return {name: _sample(name) for name in sample_folders()}


def _sample(name: str) -> tuple[Card, AnyPrompt]:
    facts = sample_facts()[name]
    prompt = replace(load_sample(name)[0].renamed(name), metrics=facts.get("metrics", {}))
    note = ": ".join(facts[part] for part in ("about", "how_made") if part in facts)
    return replace(sample_card(name, prompt), tags=("sample",), note=note), prompt
