"""Studies of many runs, from end to end: what is the same for sweeps and waywardness studies."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from probe.notes import collected
from probe.prompt import AnyPrompt
from probe.store import StudyConfig, StudyFolder, Workspace, keep_file

if TYPE_CHECKING:
    import pandas as pd

    from probe.studies import (
        Executor,
        KeyedRun,
        Plan,
        Progress,
        ResultCache,
        StudySettings,
        StudySummary,
    )

P = TypeVar("P")
R = TypeVar("R")
F = TypeVar("F", bound="StudySummary")


@dataclass(frozen=True)
class StudyAsked(ABC, Generic[P, R, F]):
    """A study that could be started: its runs, their keys, and what they come to."""

    shared: StudySettings
    points: tuple[P, ...]
    """What each run stands for."""
    runs: tuple[KeyedRun, ...]
    config: StudyConfig

    @abstractmethod
    def row(self, point: P, prompt: AnyPrompt, file: str) -> R:
        """What is kept of a finished run."""

    @abstractmethod
    def judge(self, rows: Sequence[R]) -> F:
        """What the rows come to."""

    @abstractmethod
    def page(self, found: F) -> str:
        """Answer and figures as one page that opens anywhere."""


@dataclass(frozen=True, eq=False)
class StudyResult(Generic[F]):
    """A finished study and where it lies."""

    found: F
    document: Mapping[str, Any]
    """What the command prints with `--json`."""
    folder: Path

    def to_json(self) -> Mapping[str, Any]:
        """The document the command prints with `--json`."""
        return self.document

    def to_frame(self) -> pd.DataFrame:
        """The main table."""
        return self.found.to_frame()


def study_plan(
    asked: StudyAsked[P, R, F], *, at_once: int = 8, workspace: Workspace | None = None
) -> Plan:
    """What a study would do, and how long it would take: two steps, measured."""
    from probe.studies import dry_run

    return dry_run(asked.runs, asked.shared, _kept(workspace or Workspace()), at_once=at_once)


def study_run(
    asked: StudyAsked[P, R, F],
    *,
    where: Executor | None = None,
    at_once: int = 8,
    workspace: Workspace | None = None,
    watch: Callable[[Progress], None] = lambda _: None,
) -> StudyResult[F]:
    """Do a study; what was trained before, by this or another study, is not trained again.

    The folder is kept up to date after every pack, so that others can watch.

    Raises:
        ProbeError: a run cannot be done, or another process works at the same study.
    """
    from probe.studies import at_work

    workspace = workspace or Workspace()
    with collected(), at_work(workspace, asked.config) as (study, reporter):
        watchers = (reporter.watch, watch)
        return work_at(asked, study, watchers, where=where, at_once=at_once, workspace=workspace)


def work_at(
    asked: StudyAsked[P, R, F],
    study: StudyFolder,
    watchers: Sequence[Callable[[Progress], None]],
    *,
    at_once: int,
    workspace: Workspace,
    where: Executor | None = None,
) -> StudyResult[F]:
    """Do the runs of a study in a folder that this process has for itself.

    Raises:
        ProbeError: a run cannot be done.
    """
    from probe.studies import StudyWriter, both, sweep

    kept = _kept(workspace)
    book = StudyWriter(asked.points, asked.runs, kept, study, row=asked.row, judge=asked.judge)
    watch = both(book.watch, *watchers)
    sweep(asked.runs, asked.shared, kept, where=where, at_once=at_once, watch=watch)
    found = book.write()
    keep_file(study.figures, asked.page(found).encode("utf-8", "backslashreplace"))
    return StudyResult(found, book.document(found), study.path)


def shared_by(
    data_dir: str | Path | None,
    device: str | None,
    dtype: str | None,
    validation_examples: int,
    test_examples: int,
) -> StudySettings:
    """What all runs of a study share, its folder of data by its full path."""
    from probe.studies import StudySettings

    folder = None if data_dir is None else os.path.abspath(Path(data_dir).expanduser())
    return StudySettings(folder, device, dtype, validation_examples, test_examples)


def _kept(workspace: Workspace) -> ResultCache:
    from probe.studies import ResultCache

    return ResultCache(workspace.cache / "studies")
