"""What a study is: runs, what they share, what they come to, and the packs they are trained in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from probe.datasets import load_wording
from probe.errors import TrainingError
from probe.prompt import AnyPrompt
from probe.requests.train_methods import injects_prefix
from probe.training import TrainConfig

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Distilling:
    """A text that is distilled: what a run has in place of a task's examples."""

    text: str
    """What is distilled; a control's teacher may read nothing instead."""
    seed: int
    """Of the teacher's answers."""
    contexts: tuple[str, ...] | None = None
    """What the teacher answers; the shipped questions when None. The last quarter is held out."""
    answer_tokens: int = 32
    shuffled: bool = False
    """Every context is trained on with the answer to another."""


@dataclass(frozen=True)
class RunSpec:
    """One prompt to be trained and scored."""

    model: str
    """As `load_model` takes it, a folder by its full path."""
    task: str
    """As `load_task` takes it, a file by its full path; a name where a text is distilled."""
    config: TrainConfig
    fold: tuple[int, int] | None = None
    """(number from 0, how many): the part of the training examples that validates."""
    distilling: Distilling | None = None
    """What is distilled, for the objective of that name."""


@dataclass(frozen=True)
class StudySettings:
    """What all runs of a sweep share."""

    data_dir: str | None = None
    """A folder of data sets, by task, by its full path."""
    device: str | None = None
    """As torch names it; a GPU if there is one when None."""
    dtype: str | None = None
    """Precision of the frozen model; None is chosen as for a run."""
    validation_examples: int = 200
    """At most so many score a prompt on validation data, drawn at random, the same for all."""
    test_examples: int = 500
    """At most so many score it on test data, drawn likewise: some test files are sorted."""


def settings_of(study: Any, shared: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that decides which runs a study has, a dataclass, as JSON can hold it."""
    return dict(json.loads(json.dumps(asdict(study) | {"shared": shared})))


@dataclass(frozen=True)
class KeyedRun:
    """A run and the key its result is kept under."""

    spec: RunSpec
    key: str


class StudySummary(Protocol):
    """What the rows of a study come to."""

    def to_frame(self) -> pd.DataFrame:
        """The main table."""
        ...

    def runs_frame(self) -> pd.DataFrame:
        """One row per run."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Its tables."""
        ...


@dataclass(frozen=True, eq=False)
class Study:
    """A study that could be made: its models and tasks are read, nothing is trained."""

    settings: StudySettings
    runs: tuple[KeyedRun, ...]
    row: Callable[[int, AnyPrompt, str], Any]
    """What is kept of a finished run: takes its number among `runs`, its prompt, and its file."""
    summarise: Callable[[Sequence[Any]], StudySummary]
    """What the rows there are come to."""
    read: Callable[..., None] | None = None
    """What is still to be done with the trained prompts; takes the executor, and who watches."""


@dataclass(frozen=True)
class Pack:
    """Runs on one model that are trained at once."""

    shared: StudySettings
    runs: tuple[KeyedRun, ...]

    @property
    def model(self) -> str:
        """The model of all of them."""
        return self.runs[0].spec.model

    @property
    def keys(self) -> tuple[str, ...]:
        """What results are kept under, run by run."""
        return tuple(run.key for run in self.runs)

    @property
    def steps(self) -> int:
        """Updates of the longest run."""
        return max(run.spec.config.steps for run in self.runs)

    @property
    def updates(self) -> int:
        """Updates of all runs together."""
        return sum(run.spec.config.steps for run in self.runs)


def packs_of(runs: Sequence[KeyedRun], shared: StudySettings, *, at_once: int) -> list[Pack]:
    """Runs that fit together, at most `at_once` of them in each pack.

    Runs of one model and task go together, those that distil whatever their text, prefixes apart
    from rows, and those of like length and number of steps beside each other: a batch is padded to
    its longest prompt, and each length has the examples prepared anew.
    """
    groups = groupby(sorted(runs, key=_order), key=_together)
    packs = []
    for _, group in groups:
        members = list(group)
        for start in range(0, len(members), at_once):
            packs.append(Pack(shared, tuple(members[start : start + at_once])))
    return packs


def _together(run: KeyedRun) -> tuple[str, str, bool, bool]:
    spec = run.spec
    distils = spec.distilling is not None
    return spec.model, spec.task, distils, injects_prefix(spec.config.method)


def _order(run: KeyedRun) -> tuple[object, ...]:
    config = run.spec.config
    return (*_together(run), config.length or 0, config.steps, config.gamma, run.key)


def require_names(tasks: Sequence[str]) -> None:
    """Refuse two tasks of one name: rows of results are told apart by it.

    Raises:
        DataError: a task cannot be read.
        TrainingError: two have one name.
    """
    named: dict[str, str] = {}
    for task in tasks:
        name = load_wording(task).name
        if named.setdefault(name, task) != task:
            raise TrainingError(
                f"tasks {named[name]} and {task} are both named {name}: choose one, or rename one"
            )
