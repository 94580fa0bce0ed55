"""The rows of a study as its runs finish, each made once, and the files it leaves."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from probe.atomic import make_private
from probe.store import JobFolder, keep_file
from probe.studies.cache import ResultCache, prompt_name
from probe.studies.executor import Progress
from probe.studies.specs import Study, StudySummary


class StudyWriter:
    """Keeps the files of a study up to date while packs finish."""

    def __init__(self, study: Study, cache: ResultCache, job: JobFolder) -> None:
        self._study, self._cache, self._job = study, cache, job
        self._rows: dict[int, Any] = {}
        make_private(job.prompts)

    def watch(self, progress: Progress) -> None:
        """Write the results anew when a pack has finished."""
        if progress.pack is None and self._add():
            self.write()

    def write(self) -> StudySummary:
        """What the rows that there are come to; also written."""
        self._add()
        summary = self._study.summarise([self._rows[number] for number in sorted(self._rows)])
        keep_file(self._job.results, summary.runs_frame().to_parquet(index=False))
        document = json.dumps(study_document(self._job, summary), indent=1, allow_nan=False)
        keep_file(self._job.summary, document.encode())
        return summary

    def _add(self) -> bool:
        """Make the rows of runs that have finished; whether there were any."""
        before = len(self._rows)
        for number, run in enumerate(self._study.runs):
            if number in self._rows or not self._cache.path(run.key).is_file():
                continue
            prompt = self._cache.get(run.key)
            if prompt is not None:
                name = prompt_name(prompt.task, run.key)
                file = self._job.prompts / f"{name}.safetensors"
                _link(self._cache.path(run.key), file)
                self._rows[number] = self._study.row(number, prompt, str(file))
        return len(self._rows) > before


def study_document(job: JobFolder, summary: StudySummary) -> dict[str, Any]:
    """What `--json` prints of a study."""
    return {
        "study": job.id,
        "folder": str(job.path),
        "results": str(job.results),
        **summary.to_json(),
    }


def _link(source: Path, place: Path) -> None:
    """Put a file in another place too, without a second copy where the file system can."""
    if place.exists() and place.samefile(source):
        return
    place.unlink(missing_ok=True)  # of a run that was damaged and trained again
    try:
        os.link(source, place)
    except OSError:
        keep_file(place, source.read_bytes())
