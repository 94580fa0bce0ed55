"""Everything about a set of prompts on one page that opens anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from probe.analysis.neighbours import DEFAULT_METRIC, Metric
from probe.datasets import load_wording
from probe.reports import Left, Report, report_html
from probe.store import Workspace, replace_file, require_new
from probe.verbs.checks import check_models
from probe.verbs.gathering import Source
from probe.verbs.naming import option_names
from probe.verbs.report_sections import (
    Named,
    Settings,
    alone_of,
    maps_of,
    named_prompts,
    prompt_part,
    scores_of,
    similarities,
)


@dataclass(frozen=True)
class Written:
    """The file a report is in, and what it could not answer."""

    path: str
    size_bytes: int
    prompts: tuple[str, ...]
    left: tuple[Left, ...]

    def to_json(self) -> dict[str, Any]:
        """The document `probe report --json` prints."""
        return asdict(self) | {
            "prompts": list(self.prompts),
            "left": [asdict(one) for one in self.left],
        }


@option_names(output="dest")
def report(
    prompts: Source | Sequence[Source],
    dest: str | Path,
    *,
    task: str | Path | None = None,
    data_dir: str | Path | None = None,
    limit: int | None = None,
    model: str | Path | None = None,
    metric: Metric = DEFAULT_METRIC,
    k: int = 5,
    seed: int = 0,
    workspace: Workspace | None = None,
) -> Written:
    """Write all about some prompts into one HTML file, where nothing is yet.

    Nearest tokens with controls, similarities and maps, drift where a run of the workspace trained
    the prompt, origin, and the command that makes each section again. What is not defined for a
    prompt, such as nearest tokens of a prefix, says why; the rest is there.

    Args:
        prompts: prompts, or anything `load` takes; all trained prompts of a source.
        dest: a new file.
        task: a task's name, file or folder, to measure faithfulness; this loads the model.
        data_dir: a folder of data sets, by task.
        limit: at most so many test examples; all when None.
        model: the base model; each prompt's own when None.
        metric: of nearest tokens.
        k: nearest tokens per position.
        seed: of controls, maps and resamples.
        workspace: the default one when None.

    Raises:
        ProbeError: `dest` is there already, or a prompt cannot be read.
        OSError: `dest` cannot be written.
        ValueError: a bad metric or k.
    """
    path = require_new(Path(dest))
    workspace = workspace or Workspace()
    sources = [prompts] if isinstance(prompts, Source) else prompts
    pool = named_prompts(sources, workspace)
    if task is not None:
        load_wording(task)
    if model is not None:
        check_models([(str(model), None)], workspace=workspace)
    settings = Settings(
        model=None if model is None else str(model),
        metric=metric,
        k=k,
        seed=seed,
        task=None if task is None else str(task),
        data_dir=None if data_dir is None else str(data_dir),
        limit=limit,
        workspace=workspace,
    )
    report = _report(pool, settings, str(dest))
    page = report_html(report).encode("utf-8", "backslashreplace")
    replace_file(path, page)
    names = tuple(part.prompt.name for part in report.prompts)
    return Written(str(path), len(page), names, report.left)


def _report(pool: Sequence[Named], settings: Settings, dest: str) -> Report:
    references = [one.reference for one in pool]
    command = ("probe", "report", *references, "-o", dest, *settings.on_task, *settings.near)
    return Report(
        prompts=tuple(prompt_part(one, settings) for one in pool),
        similarities=similarities(pool, settings),
        alone=alone_of(pool, settings),
        maps=maps_of(pool, settings),
        scores=scores_of(pool, settings),
        seed=settings.seed,
        command=(*command, *settings.seeded, *settings.on_model),
    )
