"""The study of readings: prompts distilled from known texts, and read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe import formats
from probe.analysis.reading_rates import KnownPrompt, ReadingRates
from probe.distillation import distillation_config
from probe.distillation.answers import DEFAULTS
from probe.distillation.known_texts import KnownText
from probe.errors import PromptFormatError, TrainingError
from probe.prompt import AnyPrompt
from probe.readings import READINGS
from probe.requests.train_methods import TrainMethod
from probe.studies.distilled import KNOWN_TEXT, SHUFFLED
from probe.studies.executor import Executor, Progress, Watch, finish
from probe.studies.grid import require_doable
from probe.studies.known_rates import NOTHING, reading_rates
from probe.studies.prompt_readings import (
    ReadingRun,
    Said,
    SaidCache,
    reading_key,
    reading_packs,
)
from probe.studies.specs import Distilling, RunSpec, Study, StudySettings
from probe.tables import load_vocabulary

_TASK = "distilled"
_LENGTH = 8
STARTS = {
    "unrelated": "text:The office on the second floor will be closed until further notice.",
}
"""Starts by name, besides those of `TrainConfig`."""


@dataclass(frozen=True)
class Condition:
    """Under which prompts are distilled."""

    length: int = _LENGTH
    """Prompt rows, P."""
    learning_rate: float = DEFAULTS["learning_rate"]
    steps: int = DEFAULTS["steps"]
    init: str = "vocab"
    """As `TrainConfig.init`."""
    method: TrainMethod = "prompt_tuning"
    """As `TrainConfig.method`."""
    control: str | None = None
    """nothing: the teacher reads no text. shuffled: contexts have each other's answers."""

    @property
    def name(self) -> str:
        """What differs from the usual distillation: `base` where nothing does."""
        usual = Condition()
        parts = [self.control] if self.control else []
        parts += [f"method_{self.method}"] * (self.method != usual.method)
        parts += [f"length_{self.length}"] * (self.length != usual.length)
        parts += [f"start_{_start(self.init)}"] * (self.init != usual.init)
        parts += [f"rate_{self.learning_rate:g}"] * (self.learning_rate != usual.learning_rate)
        parts += [f"steps_{self.steps}"] * (self.steps != usual.steps)
        return "+".join(parts) or "base"


@dataclass(frozen=True)
class KnownStudy:
    """Text × condition × seed on one model, or prompts that were distilled before."""

    model: str
    texts: tuple[KnownText, ...]
    conditions: tuple[Condition, ...] = (Condition(),)
    seeds: int = 2
    readings: tuple[str, ...] = tuple(READINGS)
    contexts: tuple[str, ...] | None = None
    """What the teacher answers; the shipped questions when None."""
    distilled: tuple[str, ...] = ()
    """Files of prompts that are read in place of any that would be trained."""


@dataclass(frozen=True)
class KnownPoint:
    """One run of the study."""

    spec: RunSpec
    number: int
    """Of its text."""
    condition: str
    seed: int


def known_of(settings: Mapping[str, Any]) -> tuple[KnownStudy, StudySettings]:
    """The study of such settings.

    Raises:
        TrainingError: they are not those of a study of readings.
    """
    fields = dict(settings)
    try:
        shared = StudySettings(**fields.pop("shared"))
        texts = tuple(
            KnownText(**one | {"words": tuple(one["words"])}) for one in fields.pop("texts")
        )
        conditions = tuple(Condition(**one) for one in fields.pop("conditions"))
        for key in ("readings", "distilled", "contexts"):
            fields[key] = None if fields[key] is None else tuple(fields[key])
        return KnownStudy(**fields, texts=texts, conditions=conditions), shared
    except (KeyError, TypeError) as error:
        raise TrainingError(f"the study's settings cannot be read ({error})") from error


def known_points(study: KnownStudy) -> list[KnownPoint]:
    """Every run of a study, condition by condition; none where prompts were distilled before.

    Raises:
        TrainingError: a value is out of its range, or there are too many runs.
    """
    if study.distilled:
        return []
    require_doable([len(study.texts), len(study.conditions), study.seeds])
    return [
        KnownPoint(_spec(study, text, condition, seed), number, condition.name, seed)
        for condition in study.conditions
        for seed in range(study.seeds)
        for number, text in enumerate(study.texts)
    ]


def known_study(request: Mapping[str, Any], cache: Path) -> Study:
    """The study of such settings, its model read.

    Args:
        request: as `settings_of` makes it.
        cache: a folder where what readings say is kept.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
    """
    from probe.studies.sources import keyed  # torch comes with it, and is not needed to refuse

    study, shared = known_of(request)
    points = known_points(study)
    reader = _Reader(study, shared, SaidCache(cache / "readings"))
    return Study(
        shared,
        tuple(keyed([point.spec for point in points], shared)),
        row=lambda number, prompt, file: reader.trained(points[number], prompt, file),
        summarise=reader.summarise,
        read=reader.read,
    )


class _Reader:
    """Reads the prompts that there are, and sums up what was said of them."""

    def __init__(self, study: KnownStudy, shared: StudySettings, cache: SaidCache) -> None:
        self._study, self._shared, self._cache = study, shared, cache
        self._vocabulary = load_vocabulary(study.model)
        self._prompts: dict[str, AnyPrompt] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._said: dict[str, Said] = {}
        self._before = tuple(self._distilled_before())

    def trained(self, point: KnownPoint, prompt: AnyPrompt, file: str) -> KnownPrompt:
        """The row of a finished run."""
        return self._row(prompt, file, point.number, point.condition, point.seed)

    def read(self, executor: Executor, watch: Watch) -> None:
        """Bring what every reading says of every prompt into the cache."""
        runs = {
            key: ReadingRun(key, prompt, reading)
            for file, prompt in self._prompts.items()
            for reading in self._study.readings
            for key in [self._key(file, reading)]
        }
        missing = [run for key, run in runs.items() if self._cache.get(key) is None]
        found = len(runs) - len(missing)
        packs = reading_packs(missing, self._study.model, self._shared, at_once=executor.at_once)
        begun = Progress(found, len(runs), found, len(packs), what="reading")
        finish(packs, begun, self._cache, executor, watch)

    def summarise(self, rows: Sequence[KnownPrompt]) -> ReadingRates:
        """How often each reading has been right so far."""
        study = self._study
        prompts = [*self._before, *rows]
        return reading_rates(
            study.model, self._vocabulary, study.texts, prompts, self._told, study.readings
        )

    def _told(self, row: KnownPrompt, reading: str) -> Said | None:
        key = self._keys.get((row.prompt, reading))
        if key is None:
            return None
        if key not in self._said and (found := self._cache.get(key)) is not None:
            self._said[key] = found
        return self._said.get(key)

    def _key(self, file: str, reading: str) -> str:
        if (file, reading) not in self._keys:
            self._keys[file, reading] = reading_key(
                self._prompts[file], reading, self._study.model, self._vocabulary, self._shared
            )
        return self._keys[file, reading]

    def _row(
        self, prompt: AnyPrompt, file: str, number: int, condition: str, seed: int | None
    ) -> KnownPrompt:
        self._prompts[file] = prompt
        text, scores = self._study.texts[number], prompt.metrics
        return KnownPrompt(
            text=text.text,
            kind=text.kind,
            number=number,
            condition=condition,
            seed=seed,
            share_explained=scores.get("share_explained"),
            kl_nats=scores.get("kl_nats"),
            kl0_nats=scores.get("kl0_nats"),
            run_s=scores.get("run_s"),
            prompt=file,
        )

    def _distilled_before(self) -> Iterator[KnownPrompt]:
        """The rows of prompts that were distilled before; those of other texts are left out."""
        numbers = {text.text: number for number, text in enumerate(self._study.texts)}
        for file in self._study.distilled:
            for prompt in formats.load(file):
                place = file if prompt.name in file else f"{file}#{prompt.name}"
                text, condition = _origin(prompt, place)
                if text in numbers:
                    yield self._row(prompt, place, numbers[text], condition, None)


def _spec(study: KnownStudy, text: KnownText, condition: Condition, seed: int) -> RunSpec:
    own = int(hashlib.sha256(f"{seed} {text.text}".encode()).hexdigest()[:7], 16)
    config = distillation_config(
        "" if condition.control == NOTHING else text.text,
        condition.length,
        seed=own,  # another start for every text, the same one in whatever study
        steps=condition.steps,
        learning_rate=condition.learning_rate,
        init=condition.init,
        method=condition.method,
    )
    shuffled = condition.control == "shuffled"
    asked = Distilling(text.text, own, study.contexts, shuffled=shuffled)
    return RunSpec(study.model, _TASK, config, distilling=asked)


def _origin(prompt: AnyPrompt, place: str) -> tuple[str, str]:
    """The text a prompt was distilled from, and the condition under which."""
    training = prompt.config.get("training")
    told = training if isinstance(training, dict) else {}
    teacher = told.get("teacher")
    text = prompt.config.get(KNOWN_TEXT, teacher)
    if told.get("objective") != "distill" or not isinstance(text, str) or not text:
        raise PromptFormatError(
            f"{place}: expected a prompt whose file names the text it was distilled from, as "
            "`probe distill` and `probe bench readings` write it"
        )
    control = "shuffled" if prompt.config.get(SHUFFLED) else None
    condition = Condition(
        len(prompt),
        float(told.get("learning_rate") or DEFAULTS["learning_rate"]),
        int(told.get("steps", DEFAULTS["steps"])),
        str(told.get("init", "vocab")),
        told.get("method", "prompt_tuning"),
        control if teacher else NOTHING,
    )
    return text, condition.name


def _start(init: str) -> str:
    """A start as the name of a condition has it."""
    return "text" if init in STARTS.values() else init
