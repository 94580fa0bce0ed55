"""The sections of a report: each asks one verb, and keeps why it has no answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from probe.analysis.compare import MEASURES, Measure
from probe.analysis.maps import Map
from probe.analysis.starts import Drift
from probe.errors import NotComparableError, ProbeError
from probe.prompt import AnyPrompt, SoftPrompt
from probe.reports.document import Asked, PromptPart, Similarity
from probe.requests import (
    CompareRequest,
    DecodeRequest,
    EvaluateRequest,
    InspectRequest,
    MapRequest,
    ReportRequest,
    Request,
    RequestError,
    command_of,
)
from probe.requests.sources import PromptSource
from probe.store import Library, Workspace
from probe.verbs.checks import base_of
from probe.verbs.comparing import compare, map
from probe.verbs.decoding import decode
from probe.verbs.drifting import drift, number_in_run
from probe.verbs.evaluating import evaluate

if TYPE_CHECKING:
    from probe.evaluation import Comparison as Scores

Answer = TypeVar("Answer")
_DRAWN: Measure = "mean_token_cosine"


@dataclass(frozen=True, eq=False)
class Named:
    """A prompt and how a command line names it."""

    reference: str
    prompt: AnyPrompt


def named_prompts(sources: Sequence[PromptSource], workspace: Workspace) -> list[Named]:
    """Every trained prompt of the sources, in their order.

    Raises:
        NotComparableError: there is none.
        ProbeError: a source cannot be read.
    """
    found: list[Named] = []
    for source in sources:
        every = Library(workspace).load(source)
        if not isinstance(source, str | Path):
            every = [one for one in every if one.trained] or every
            found += [Named(p.provenance.path if p.provenance else p.name, p) for p in every]
            continue
        trained = [prompt for prompt in every if prompt.trained]
        alone = len(trained) == 1
        found += [Named(str(source) if alone else f"{source}#{p.name}", p) for p in trained]
    if not found:
        raise NotComparableError("a report needs 1 or more trained prompts, found none")
    return found


def prompt_part(named: Named, asked: ReportRequest) -> PromptPart:
    """One prompt's own sections: nearest tokens and, if a run trained it, its drift."""
    request = DecodeRequest(
        named.reference,
        asked.model,
        metric=asked.metric,
        k=asked.k,
        seed=asked.seed,
        workspace=asked.workspace,
    )
    return PromptPart(
        prompt=named.prompt,
        inspect=command_line(InspectRequest((named.reference,)), "inspect"),
        decoding=_ask(
            command_line(request, "decode"),
            lambda: decode(replace(request, prompt=named.prompt)),
        ),
        drift=_drift(named.prompt, asked),
        note=_note(named.prompt, Workspace(asked.workspace)),
    )


def similarities(pool: Sequence[Named], asked: ReportRequest) -> tuple[Similarity, ...]:
    """Every measure between the prompts that have rows; nothing for fewer than two of them.

    The measure that runs the model is asked only where a task has the model run anyway.
    """
    groups = _by_model(pool, asked)
    return tuple(
        one
        for model, group in groups.items()
        if len(group) > 1
        for one in _similarities(group, model if len(groups) > 1 else None, asked)
    )


def alone_of(pool: Sequence[Named], asked: ReportRequest) -> tuple[tuple[str, str], ...]:
    """Prompts with rows that share their base model with no other, and that model."""
    groups = _by_model(pool, asked)
    if len(groups) < 2:
        return ()
    return tuple((g[0].prompt.name, model) for model, g in groups.items() if len(g) == 1)


def _by_model(pool: Sequence[Named], asked: ReportRequest) -> dict[str, list[Named]]:
    """The prompts that have rows, by base model; one that names none may be of any."""
    groups: dict[str, list[Named]] = {}
    soft = [one for one in pool if isinstance(one.prompt, SoftPrompt)]
    known = {base_of(one.prompt) for one in soft} - {None}
    several = asked.model is None and len(known) > 1
    for one in soft:
        model = str(base_of(one.prompt) or "an unknown model") if several else "one model"
        groups.setdefault(model, []).append(one)
    return groups


def _similarities(
    group: Sequence[Named], model: str | None, asked: ReportRequest
) -> list[Similarity]:
    found = [_similarity(group, measure, asked) for measure in MEASURES]
    if len(group) > 2:  # two prompts of one length lie opposite to each other around their mean
        found.insert(1, _similarity(group, _DRAWN, asked, centre=True))
    since_start = _similarity(group, _DRAWN, asked, change=True)
    if since_start.asked.answer is not None:  # else a start is not known
        place = len(found) - len(MEASURES) + 1  # behind the other two that are drawn
        found.insert(place, since_start)
    return [replace(one, model=model) for one in found]


def maps_of(pool: Sequence[Named], asked: ReportRequest) -> tuple[Asked[Map], ...]:
    """A map by PCA of the soft prompts of every base model."""
    groups: dict[object, list[Named]] = {}
    for one in pool:
        if isinstance(one.prompt, SoftPrompt):
            prompt = one.prompt
            own = (base_of(prompt), prompt.revision, prompt.submodule)
            groups.setdefault(None if asked.model else own, []).append(one)
    return tuple(_map(group, asked) for group in groups.values())


def scores_of(pool: Sequence[Named], asked: ReportRequest) -> tuple[Asked[Scores], ...]:
    """Scores on the task, with faithfulness for prompts that have nearest tokens."""
    if asked.task is None:
        return ()
    soft = [one for one in pool if isinstance(one.prompt, SoftPrompt)]
    rest = [one for one in pool if one not in soft]
    groups = ((soft, True), (rest, False))
    return tuple(_scores(group, asked, discretised=d) for group, d in groups if group)


def _ask(command: tuple[str, ...], question: Callable[[], Answer]) -> Asked[Answer]:
    try:
        return Asked(command, answer=question())
    except ProbeError as error:
        return Asked(command, refused=str(error))


def command_line(request: Request, verb: str) -> tuple[str, ...]:
    """The command that asks for the same; of objects in memory a line that says there is none."""
    try:
        return command_of(request, verb)
    except RequestError as error:
        return (str(error),)


def references(pool: Sequence[Named]) -> tuple[str, ...]:
    """How a command line names them."""
    return tuple(one.reference for one in pool)


def _prompts(pool: Sequence[Named]) -> tuple[AnyPrompt, ...]:
    return tuple(one.prompt for one in pool)


def _note(prompt: AnyPrompt, workspace: Workspace) -> str:
    """The note of a prompt that the workspace keeps; any other prompt may have such a name too."""
    folder = workspace.prompts.root / prompt.name
    kept = prompt.provenance is not None and Path(prompt.provenance.path).parent == folder
    card = workspace.prompts.card_or_none(prompt.name) if kept else None
    return card.note if card else ""


def _drift(prompt: AnyPrompt, asked: ReportRequest) -> Asked[Drift] | None:
    run = prompt.config.get("run")
    if not isinstance(run, str) or not run:
        return None
    number = number_in_run(prompt)
    called = f"verbs.drift({run!r}, {number}, metric={asked.metric!r})"
    command = ("python", "-c", f"from probe import verbs; print({called}.to_frame())")
    workspace = Workspace(asked.workspace)
    if run not in workspace.runs.ids():  # never another run whose name begins so
        return Asked(command, refused=f"run {run}, which trained it, is not in this workspace")
    return _ask(command, lambda: drift(run, number, metric=asked.metric, workspace=workspace))


def _similarity(
    pool: Sequence[Named],
    measure: Measure,
    asked: ReportRequest,
    *,
    centre: bool = False,
    change: bool = False,
) -> Similarity:
    request = CompareRequest(
        references(pool),
        measure,
        centre=centre,
        change=change,
        model=asked.model,
        workspace=asked.workspace,
    )
    if MEASURES[measure].needs == "tokenizer":
        request = replace(request, metric=asked.metric, k=asked.k)
    command = command_line(request, "compare")
    if MEASURES[measure].needs == "model" and asked.task is None:
        why = "it runs the model, which a report does only with a task: name one with --task"
        return Similarity(measure, centre, False, Asked(command, refused=why))
    found = _ask(command, lambda: compare(replace(request, prompts=_prompts(pool))))
    return Similarity(measure, centre, measure == _DRAWN, found, change=change)


def _map(group: Sequence[Named], asked: ReportRequest) -> Asked[Map]:
    request = MapRequest(
        references(group), seed=asked.seed, model=asked.model, workspace=asked.workspace
    )
    return _ask(
        command_line(request, "map"), lambda: map(replace(request, prompts=_prompts(group)))
    )


def _scores(group: Sequence[Named], asked: ReportRequest, *, discretised: bool) -> Asked[Scores]:
    request = EvaluateRequest(
        references(group),
        asked.task,
        model=asked.model,
        data_dir=asked.data_dir,
        limit=asked.limit,
        zero_shot=not discretised,
        discretised=discretised,
        seed=asked.seed,
        workspace=asked.workspace,
    )
    return _ask(
        command_line(request, "evaluate"),
        lambda: evaluate(replace(request, prompts=_prompts(group))).comparison,
    )
