"""Trained prompts read by one reading after another, each kept by what was read and how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from probe.arrays import Arrays
from probe.errors import NotDecodableError
from probe.prompt import AnyPrompt
from probe.readings import READINGS, Reading, Subject
from probe.studies.cache import FileCache
from probe.studies.sources import fingerprint_of, model_of
from probe.studies.specs import StudySettings
from probe.tables import load_vocabulary
from probe.vocabulary import Vocabulary

VERSION = 2
"""Raised whenever a reading starts to say something else of the same prompt."""


@dataclass(frozen=True)
class Said:
    """What a reading said of a prompt."""

    words: tuple[str, ...] = ()
    best: float | None = None
    """Score of its first token."""
    p: float | None = None
    better_than_controls: bool | None = None
    agreement: float | None = None
    refused: str | None = None


class SaidCache(FileCache[Said]):
    """What readings said, in JSON files."""

    suffix = ".json"

    def _read(self, path: Path) -> Said:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or set(values) != set(asdict(Said())):
            raise ValueError(f"{path}: expected what a reading said")
        return Said(**values | {"words": tuple(values["words"])})


@dataclass(frozen=True, eq=False)
class ReadingRun:
    """One prompt to be read in one way."""

    key: str
    prompt: AnyPrompt
    reading: str


@dataclass(frozen=True, eq=False)
class ReadingPack:
    """Prompts on one model that one reading reads one after another."""

    shared: StudySettings
    model: str
    runs: tuple[ReadingRun, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """What results are kept under, run by run."""
        return tuple(run.key for run in self.runs)

    @property
    def updates(self) -> int:
        """Prompts to be read."""
        return len(self.runs)


def reading_key(
    prompt: AnyPrompt, reading: str, model: str, vocabulary: Vocabulary, shared: StudySettings
) -> str:
    """What a reading of a prompt is kept under: the prompt's file, the reading, and the model.

    The model's weights are looked at only for readings that run it.
    """
    assert prompt.provenance is not None  # it was read from a file
    weights = vocabulary.fingerprint
    if READINGS[reading].needs_model:
        weights += " " + fingerprint_of(model, shared.device, shared.dtype)
    document = [VERSION, prompt.provenance.sha256, prompt.name, reading, weights]
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:32]


def reading_packs(
    runs: Sequence[ReadingRun], model: str, shared: StudySettings, *, at_once: int
) -> list[ReadingPack]:
    """Runs by reading, at most so many in each pack."""
    named = dict.fromkeys(run.reading for run in runs)
    groups = ([run for run in runs if run.reading == name] for name in named)
    return [
        ReadingPack(shared, model, tuple(group[start : start + at_once]))
        for group in groups
        for start in range(0, len(group), at_once)
    ]


def read_pack(pack: ReadingPack) -> list[bytes]:
    """What a reading says of every prompt of a pack, in JSON."""
    shared, vocabulary = pack.shared, load_vocabulary(pack.model)
    running = any(READINGS[run.reading].needs_model for run in pack.runs)
    model = model_of(pack.model, shared.device, shared.dtype) if running else None
    cached = _memory(vocabulary.fingerprint)
    return [
        _read(Subject(run.prompt, vocabulary, model, cached=cached), run.reading)
        for run in pack.runs
    ]


def _read(subject: Subject, name: str) -> bytes:
    try:
        said = _said(READINGS[name].read(subject))
    except NotDecodableError as error:
        said = Said(refused=str(error))
    return json.dumps(asdict(said)).encode()


def _said(found: Reading) -> Said:
    best = found.tokens[0].score if found.tokens else None
    return Said(found.words, best, found.p, found.better_than_controls, found.agreement)


@lru_cache(maxsize=1)
def _memory(_: str) -> Callable[..., Arrays]:
    """Keeps reference samples of one table in this process, which may have no workspace."""
    kept: dict[str, Any] = {}

    def cached(key: str, compute: Callable[[], Arrays], _: object) -> Arrays:
        if key not in kept:
            kept[key] = compute()
        found: Arrays = kept[key]
        return found

    return cached
