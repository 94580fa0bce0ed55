"""The sections of a report: each asks one verb, and keeps why it has no answer."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from probe.analysis.compare import MEASURES, Measure
from probe.analysis.drift import Drift
from probe.analysis.maps import Map
from probe.analysis.neighbours import Metric
from probe.errors import NotComparableError, ProbeError
from probe.prompt import AnyPrompt, SoftPrompt
from probe.reports import Asked, PromptPart, Similarity
from probe.store import Workspace
from probe.verbs.comparing import compare
from probe.verbs.decoding import decode
from probe.verbs.drifting import drift
from probe.verbs.evaluating import evaluate
from probe.verbs.gathering import Source
from probe.verbs.loading import load
from probe.verbs.mapping import map

if TYPE_CHECKING:
    from probe.evaluation import Comparison as Scores

Answer = TypeVar("Answer")
_FOLD = re.compile(r"-fold(\d+)$", re.ASCII)
_DRAWN: Measure = "mean_token_cosine"


@dataclass(frozen=True, eq=False)
class Named:
    """A prompt and how a command line names it."""

    reference: str
    prompt: AnyPrompt


@dataclass(frozen=True, eq=False)
class Settings:
    """How every section is made."""

    model: str | None
    metric: Metric
    k: int
    seed: int
    task: str | None
    data_dir: str | None
    limit: int | None
    workspace: Workspace

    @property
    def on_model(self) -> tuple[str, ...]:
        """The option that names the model; nothing where prompts tell."""
        return () if self.model is None else ("--model", self.model)

    @property
    def seeded(self) -> tuple[str, ...]:
        """The option that names the seed."""
        return ("--seed", str(self.seed))

    @property
    def near(self) -> tuple[str, ...]:
        """The options that say what near means."""
        return ("--metric", self.metric, "-k", str(self.k))

    @property
    def on_task(self) -> tuple[str, ...]:
        """The options that name the task and its data; nothing without one."""
        given = {"--task": self.task, "--data-dir": self.data_dir, "--limit": self.limit}
        return tuple(w for name, value in given.items() if value for w in (name, str(value)))


def named_prompts(sources: Sequence[Source], workspace: Workspace) -> list[Named]:
    """Every trained prompt of the sources, in their order.

    Raises:
        NotComparableError: there is none.
        ProbeError: a source cannot be read.
    """
    found: list[Named] = []
    for source in sources:
        if not isinstance(source, str | Path):
            told = source.provenance.path if source.provenance else source.name
            found.append(Named(told, source))
            continue
        every = load(source, workspace=workspace)
        trained = [prompt for prompt in every if prompt.trained]
        alone = len(trained) == 1
        found += [Named(str(source) if alone else f"{source}#{p.name}", p) for p in trained]
    if not found:
        raise NotComparableError("a report needs 1 or more trained prompts, found none")
    return found


def prompt_part(named: Named, settings: Settings) -> PromptPart:
    """One prompt's own sections: nearest tokens and, if a run trained it, its drift."""
    return PromptPart(
        prompt=named.prompt,
        inspect=("probe", "inspect", named.reference),
        decoding=_ask(
            ("probe", "decode", named.reference, *settings.near, *settings.seeded)
            + settings.on_model,
            lambda: decode(
                named.prompt,
                settings.model,
                metric=settings.metric,
                k=settings.k,
                seed=settings.seed,
                workspace=settings.workspace,
            ),
        ),
        drift=_drift(named.prompt, settings),
    )


def similarities(pool: Sequence[Named], settings: Settings) -> tuple[Similarity, ...]:
    """Every measure between the prompts that have rows; nothing for fewer than two of them.

    The measure that runs the model is asked only where a task has the model run anyway.
    """
    groups = _by_model(pool, settings)
    return tuple(
        one
        for model, group in groups.items()
        if len(group) > 1
        for one in _similarities(group, model if len(groups) > 1 else None, settings)
    )


def alone_of(pool: Sequence[Named], settings: Settings) -> tuple[tuple[str, str], ...]:
    """Prompts with rows that share their base model with no other, and that model."""
    groups = _by_model(pool, settings)
    if len(groups) < 2:
        return ()
    return tuple((g[0].prompt.name, model) for model, g in groups.items() if len(g) == 1)


def _by_model(pool: Sequence[Named], settings: Settings) -> dict[str, list[Named]]:
    """The prompts that have rows, by base model; one that names none may be of any."""
    groups: dict[str, list[Named]] = {}
    soft = [one for one in pool if isinstance(one.prompt, SoftPrompt)]
    known = {one.prompt.base_model for one in soft if one.prompt.base_model is not None}
    several = settings.model is None and len(known) > 1
    for one in soft:
        model = (one.prompt.base_model or "an unknown model") if several else "one model"
        groups.setdefault(model, []).append(one)
    return groups


def _similarities(
    group: Sequence[Named], model: str | None, settings: Settings
) -> list[Similarity]:
    asked = [_similarity(group, measure, settings) for measure in MEASURES]
    if len(group) > 2:  # two prompts of one length lie opposite to each other around their mean
        asked.insert(1, _similarity(group, _DRAWN, settings, centre=True))
    if all(_began_from_tokens(one.prompt) for one in group):
        place = len(asked) - len(MEASURES) + 1  # behind the other two that are drawn
        asked.insert(place, _similarity(group, _DRAWN, settings, change=True))
    return [dataclasses.replace(one, model=model) for one in asked]


def _began_from_tokens(prompt: AnyPrompt) -> bool:
    return isinstance(prompt, SoftPrompt) and prompt.init_token_ids is not None


def maps_of(pool: Sequence[Named], settings: Settings) -> tuple[Asked[Map], ...]:
    """A map by PCA of the soft prompts of every base model."""
    groups: dict[object, list[Named]] = {}
    for one in pool:
        if isinstance(one.prompt, SoftPrompt):
            prompt = one.prompt
            own = (prompt.base_model, prompt.revision, prompt.submodule)
            groups.setdefault(None if settings.model else own, []).append(one)
    return tuple(_map(group, settings) for group in groups.values())


def scores_of(pool: Sequence[Named], settings: Settings) -> tuple[Asked[Scores], ...]:
    """Scores on the task, with faithfulness for prompts that have nearest tokens."""
    if settings.task is None:
        return ()
    soft = [one for one in pool if isinstance(one.prompt, SoftPrompt)]
    rest = [one for one in pool if one not in soft]
    asked = ((soft, True), (rest, False))
    return tuple(_scores(group, settings, discretised=d) for group, d in asked if group)


def _ask(command: tuple[str, ...], question: Callable[[], Answer]) -> Asked[Answer]:
    try:
        return Asked(command, answer=question())
    except ProbeError as error:
        return Asked(command, refused=str(error))


def _references(pool: Sequence[Named]) -> tuple[str, ...]:
    return tuple(one.reference for one in pool)


def _drift(prompt: AnyPrompt, settings: Settings) -> Asked[Drift] | None:
    run = prompt.config.get("run")
    if not isinstance(run, str) or not run:
        return None
    fold = _FOLD.search(prompt.name)
    number = int(fold[1]) - 1 if fold else 0
    asked = f"verbs.drift({run!r}, {number}, metric={settings.metric!r})"
    command = ("python", "-c", f"from probe import verbs; print({asked}.to_frame())")
    if run not in settings.workspace.runs.ids():  # never another run whose name begins so
        return Asked(command, refused=f"run {run}, which trained it, is not in this workspace")
    return _ask(
        command,
        lambda: drift(run, number, metric=settings.metric, workspace=settings.workspace),
    )


def _similarity(
    pool: Sequence[Named],
    measure: Measure,
    settings: Settings,
    *,
    centre: bool = False,
    change: bool = False,
) -> Similarity:
    command = ("probe", "compare", *_references(pool), "--measure", measure, *settings.on_model)
    command += ("--centre",) if centre else ()
    command += ("--change",) if change else ()
    command += settings.near if MEASURES[measure].needs == "tokenizer" else ()
    if MEASURES[measure].needs == "model" and settings.task is None:
        why = "it runs the model, which a report does only with a task: name one with --task"
        return Similarity(measure, centre, False, Asked(command, refused=why))
    asked = _ask(
        command,
        lambda: compare(
            [one.prompt for one in pool],
            measure,
            centre=centre,
            change=change,
            model=settings.model,
            metric=settings.metric,
            k=settings.k,
            workspace=settings.workspace,
        ),
    )
    return Similarity(measure, centre, measure == _DRAWN, asked, change=change)


def _map(group: Sequence[Named], settings: Settings) -> Asked[Map]:
    command = ("probe", "map", *_references(group), "--method", "pca", *settings.seeded)
    return _ask(
        command + settings.on_model,
        lambda: map(
            [one.prompt for one in group],
            seed=settings.seed,
            model=settings.model,
            workspace=settings.workspace,
        ),
    )


def _scores(group: Sequence[Named], settings: Settings, *, discretised: bool) -> Asked[Scores]:
    assert settings.task is not None
    task = settings.task
    command = ("probe", "evaluate", *_references(group), *settings.on_task)
    command += ("--discretised" if discretised else "--zero-shot", *settings.seeded)
    return _ask(
        command + settings.on_model,
        lambda: (
            evaluate(
                tuple(one.prompt for one in group),
                task,
                model=settings.model,
                data_dir=settings.data_dir,
                limit=settings.limit,
                zero_shot=not discretised,
                discretised=discretised,
                seed=settings.seed,
                workspace=settings.workspace,
            ).comparison
        ),
    )
