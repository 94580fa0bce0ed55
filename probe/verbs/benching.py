"""How often are readings right? Prompts distilled from known texts, read and counted."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.atomic import require_new, write_new
from probe.errors import ProbeError, PromptFormatError
from probe.paths import at_home
from probe.readings import READINGS, named_readings, needs_model
from probe.requests import BenchReadingsRequest, takes
from probe.store import JobConfig, Workspace
from probe.tables import ALWAYS_NAMED, default_model
from probe.verbs.checks import check_models, require_readers, require_writers
from probe.verbs.studies import StudyResult, run_as_asked, shared_settings
from probe.verbs.training import full_path, new_config, place, settle_starts

if TYPE_CHECKING:
    from probe.analysis.reading_rates import ReadingRates
    from probe.distillation.known_texts import KnownText
    from probe.studies.known import Condition

_TABLES = (".md", ".csv")


@takes(BenchReadingsRequest)
def bench_readings_config(request: BenchReadingsRequest) -> JobConfig:
    """What a study of readings asks; opens no model, and writes nothing.

    Raises:
        ProbeError: something of it cannot be read, or does not fit together.
        ValueError: there is no such reading.
    """
    from probe.studies.known import KnownStudy, known_points
    from probe.studies.specs import settings_of

    _require_places(request)
    workspace = Workspace(request.workspace)
    model = full_path(str(request.model or default_model()), known=ALWAYS_NAMED)
    known = check_models([(model, None)], device=request.device, workspace=workspace)
    require_writers(require_readers(known))
    readings = named_readings(request.readings) if request.readings else list(READINGS)
    needs_model(readings)  # refuses unknown names
    study = KnownStudy(
        model,
        tuple(_texts(request)),
        tuple(dict.fromkeys(_conditions(request, model, workspace))),
        request.seeds,
        tuple(readings),
        _contexts(request.contexts),
        tuple(file for source in request.distilled for file in _files(Path(source))),
    )
    known_points(study)  # what no run could be asked is refused now
    shared = shared_settings(device=request.device, dtype=request.dtype)
    return new_config("readings", Path(model).name, settings_of(study, shared))


@takes(BenchReadingsRequest)
def bench_readings(request: BenchReadingsRequest) -> StudyResult:
    """Count how often each reading finds the text that a prompt was distilled from.

    Raises:
        ProbeError: something cannot be read or done as it was asked for.
        ValueError: there is no such reading.
    """
    return bench_readings_run(request, bench_readings_config(request))


def bench_readings_run(
    request: BenchReadingsRequest, config: JobConfig, **watchers: Any
) -> StudyResult:
    """Do such a study, keep its rates in the workspace, and write what else was asked for."""
    result = run_as_asked(request, config, **watchers)
    _write(result.found, request)
    return result


def _texts(request: BenchReadingsRequest) -> list[KnownText]:
    from probe.distillation.known_texts import read_known_texts, spread  # torch comes with it

    path = None if request.texts is None else at_home(request.texts)
    return spread(read_known_texts(path), request.limit)


def _contexts(path: str | Path | None) -> tuple[str, ...] | None:
    from probe.distillation import read_contexts

    return None if path is None else tuple(read_contexts(at_home(path)))


def _conditions(
    request: BenchReadingsRequest, model: str, workspace: Workspace
) -> Iterator[Condition]:
    """The condition of all first values, then those that differ from it in one."""
    from probe.studies.known import STARTS, Condition

    inits = settle_starts([STARTS.get(one, one) for one in request.init], [model], workspace)
    varied: dict[str, Sequence[Any]] = {
        "length": request.length,
        "learning_rate": request.lr,
        "steps": request.steps,
        "init": inits,
        "method": request.method,
        "control": (None, *request.control),
    }
    base = Condition(**{name: values[0] for name, values in varied.items()})
    yield base
    for name, values in varied.items():
        for value in values[1:]:
            yield dataclasses.replace(base, **{name: value})


def _files(source: Path) -> list[str]:
    """The prompt files of a folder, or the one file, by their full paths."""
    source = at_home(source)
    if source.is_dir():
        found = sorted(source.rglob("*.safetensors"))
    else:
        found = [source] if source.exists() else []
    if not found:
        raise PromptFormatError(
            f"{source}: expected a prompt file (.safetensors) or a folder of them, found none"
        )
    return [place(one) for one in found]


def _require_places(request: BenchReadingsRequest) -> None:
    """Refuse what could not be written, before any work."""
    for path in (request.write, request.table):
        if path is not None:
            require_new(Path(path))
    if request.write is not None and request.write == request.table:
        raise ProbeError(f"--write and --table both name {request.write}: name two files")
    if request.table is not None and Path(request.table).suffix not in _TABLES:
        raise ProbeError(f"{request.table}: expected a table that ends in {' or '.join(_TABLES)}")


def _write(found: ReadingRates, request: BenchReadingsRequest) -> None:
    from probe.reports.reading_rates import reading_rates_markdown
    from probe.reports.spreadsheets import csv_of
    from probe.texts import as_json

    if request.write is not None:
        document = json.dumps(as_json(found.counted()), indent=1, allow_nan=False)
        write_new(at_home(request.write), f"{document}\n")
    if request.table is not None:
        path = at_home(request.table)
        text = csv_of(found.to_frame()) if path.suffix == ".csv" else reading_rates_markdown(found)
        write_new(path, text)
