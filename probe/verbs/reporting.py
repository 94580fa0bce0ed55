"""Everything about a set of prompts on one page that opens anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from probe.atomic import require_new, write_new
from probe.datasets import load_wording
from probe.reports.document import Left, Report
from probe.reports.page import report_html
from probe.requests import ReportRequest, takes
from probe.results import Result
from probe.store import Workspace
from probe.texts import counted
from probe.verbs.checks import check_models, named_model
from probe.verbs.report_sections import (
    Named,
    alone_of,
    command_line,
    maps_of,
    named_prompts,
    prompt_part,
    references,
    scores_of,
    similarities,
)


@dataclass(frozen=True)
class Written(Result):
    """The file a report is in, and what it could not answer."""

    path: str
    size_bytes: int
    prompts: tuple[str, ...]
    left: tuple[Left, ...]

    def headline(self) -> list[str]:
        """Where the report is, and what it could not answer."""
        size = f"{self.size_bytes / 1e6:.1f} MB"
        lines = [f"wrote {self.path} ({size}): {counted(len(self.prompts), 'prompt')}"]
        for one in self.left:
            whose = f" of {one.prompt}" if one.prompt else ""
            lines.append(f"no {one.section}{whose}: {one.reason}")
        return lines


@takes(ReportRequest)
def report(asked: ReportRequest) -> Written:
    """Write all about some prompts into one HTML file, where nothing is yet.

    Nearest tokens with controls, similarities and maps, drift where a run of the workspace trained
    the prompt, origin, and the command that makes each section again. What is not defined for a
    prompt, such as nearest tokens of a prefix, says why; the rest is there.

    Raises:
        ProbeError: the file is there already, or a prompt cannot be read.
        OSError: the file cannot be written.
        ValueError: a bad metric or k.
    """
    path = require_new(Path(asked.output))
    workspace = Workspace(asked.workspace)
    pool = named_prompts(asked.prompts, workspace)
    if asked.task is not None:
        load_wording(asked.task)
    if asked.model is not None:
        check_models([(named_model(asked.model) or "", None)], workspace=workspace)
    report = _report(pool, asked)
    page = report_html(report).encode("utf-8", "backslashreplace")
    write_new(path, page)
    names = tuple(part.prompt.name for part in report.prompts)
    return Written(str(path), len(page), names, report.left)


def _report(pool: Sequence[Named], asked: ReportRequest) -> Report:
    named = replace(asked, prompts=references(pool))
    return Report(
        prompts=tuple(prompt_part(one, asked) for one in pool),
        similarities=similarities(pool, asked),
        alone=alone_of(pool, asked),
        maps=maps_of(pool, asked),
        scores=scores_of(pool, asked),
        seed=asked.seed,
        command=command_line(named, "report"),
    )
