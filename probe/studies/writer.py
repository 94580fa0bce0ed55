"""The rows of a study as its runs finish, each made once, and the files it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import pandas as pd

from probe.prompt import AnyPrompt
from probe.store import StudyFolder, keep_file
from probe.studies.cache import ResultCache, prompt_name
from probe.studies.executor import Progress
from probe.studies.specs import KeyedRun
from probe.studies.study import link, write_frame

P = TypeVar("P")
R = TypeVar("R")


class StudySummary(Protocol):
    """What the rows come to."""

    def to_frame(self) -> pd.DataFrame:
        """The main table."""
        ...

    def runs_frame(self) -> pd.DataFrame:
        """One row per run."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Its tables."""
        ...


F = TypeVar("F", bound=StudySummary)


class StudyWriter(Generic[P, R, F]):
    """Keeps the files of a study up to date while packs finish.

    Args:
        points: what each run stands for.
        runs: their keys, in the same order.
        kept: where finished runs are.
        study: where files go.
        row: makes a row of a point, its prompt and the prompt's file.
        judge: makes the result of all rows there are.
    """

    def __init__(
        self,
        points: Sequence[P],
        runs: Sequence[KeyedRun],
        kept: ResultCache,
        study: StudyFolder,
        *,
        row: Callable[[P, AnyPrompt, str], R],
        judge: Callable[[Sequence[R]], F],
    ) -> None:
        self._points, self._runs = points, runs
        self._kept, self._study = kept, study
        self._row, self._judge = row, judge
        self._rows: dict[int, R] = {}

    def watch(self, progress: Progress) -> None:
        """Write the results anew when a pack has finished."""
        if progress.pack is None and self._add():
            self.write()

    def write(self) -> F:
        """The result of the rows there are; also written."""
        self._add()
        found = self._judge([self._rows[number] for number in sorted(self._rows)])
        write_frame(self._study.results, found.runs_frame())
        document = self.document(found)
        keep_file(self._study.summary, json.dumps(document, indent=1, allow_nan=False).encode())
        return found

    def document(self, found: F) -> Mapping[str, Any]:
        """What `--json` prints."""
        place = self._study
        return {
            "study": place.id,
            "folder": str(place.path),
            "results": str(place.results),
            **found.to_json(),
        }

    def _add(self) -> bool:
        """Make the rows of runs that have finished; whether there were any."""
        before = len(self._rows)
        for number, (point, run) in enumerate(zip(self._points, self._runs, strict=True)):
            if number in self._rows or not self._kept.path(run.key).is_file():
                continue
            prompt = self._kept.get(run.key)
            if prompt is not None:
                name = prompt_name(prompt.task, run.key)
                file = self._study.prompts / f"{name}.safetensors"
                link(self._kept.path(run.key), file)
                self._rows[number] = self._row(point, prompt, str(file))
        return len(self._rows) > before
