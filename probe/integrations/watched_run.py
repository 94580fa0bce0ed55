"""One run that is watched: its prompt from first look to last, and where that is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probe.errors import ModelNotFoundError, ProbeError, PromptFormatError
from probe.integrations.faults import unmoved_metrics
from probe.integrations.observing import Observation, Observer
from probe.integrations.run_record import RunRecord
from probe.integrations.sinks import Sink, open_sinks
from probe.jobs.processes import JobGoneError
from probe.live import LiveModel
from probe.notes import note
from probe.prompt import AnyPrompt, SoftPrompt
from probe.requests.train_methods import METHODS
from probe.store import Workspace
from probe.tables import load_vocabulary
from probe.vocabulary import Vocabulary


@dataclass(frozen=True)
class Asked:
    """What is to be watched, and where it goes."""

    workspace: Workspace
    name: str
    task: str
    readings: tuple[str, ...]
    sinks: tuple[str | Path | Sink, ...]
    model: str | LiveModel | Vocabulary | None
    """The base model; None: the one that the prompt comes with."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What is known of the training, as `TrainConfig` calls it."""
    metric: str | None = None
    """Of validations, the one that matters."""


class WatchedRun:
    """A run that begins with the first look at its prompt.

    Raises:
        PromptFormatError: the rows are of another width than the model reads.
        ProbeError: a sink cannot be opened.
        WorkspaceError: the workspace cannot be written.
    """

    def __init__(self, asked: Asked, prompt: AnyPrompt, step: int) -> None:
        source = asked.model if asked.model is not None else prompt.live_model
        vocabulary = _vocabulary(source, prompt)
        self._place = _place(source, prompt)
        rows = isinstance(prompt, SoftPrompt)
        method = prompt.method if prompt.method in METHODS else "prompt_tuning"
        settings = {
            "method": method if rows else "prefix_tuning",
            "length": len(prompt),
            **asked.settings,
        }
        model = str(source.name if isinstance(source, Vocabulary) else source or "unknown")
        self.record = RunRecord(asked.workspace, asked.name, model, asked.task, settings, step)
        self.record.metric = asked.metric
        cached = asked.workspace.cached_arrays
        self._observer = Observer(vocabulary, asked.readings, cached=cached)
        self.observations: list[Observation] = []
        self._evaluations: list[tuple[int, Mapping[str, float]]] = []
        self._said: set[str] = set()
        self._prompt = prompt
        try:
            self._sinks = open_sinks(asked.sinks, self.record.job.id, self.record.job.path)
        except ProbeError as error:
            self.record.fail(str(error))
            raise

    def see(
        self,
        prompt: AnyPrompt,
        step: int,
        metrics: Mapping[str, float] | None,
        warnings: Sequence[str] = (),
    ) -> Observation:
        """Look at the prompt as it is now; of what an evaluation measured, numbers are kept."""
        measured = {name: float(one) for name, one in (metrics or {}).items() if _is_number(one)}
        found = list(warnings)
        if measured:
            self._evaluations.append((step, measured))
            found += unmoved_metrics(self._evaluations)
        seen = self._observer.observe(prompt, step, measured)
        self._prompt = prompt
        return self._written(dataclasses.replace(seen, warnings=tuple(found)))

    def see_broken(self, step: int, why: str) -> Observation:
        """The prompt is none any more, as after it diverged: the last one that was is kept."""
        return self._written(
            dataclasses.replace(self.observations[-1], step=step, metrics={}, warnings=(why,))
        )

    def log(self, step: int, logs: Mapping[str, Any]) -> None:
        """Losses and rates between evaluations."""
        with self._kept_going():
            self.record.log(step, logs)

    def tell(self, line: str) -> bool:
        """Say a line, whose kind is told once; whether it was new."""
        kind = line.partition(" is ")[0].partition(", found ")[0]
        if kind in self._said:
            return False
        self._said.add(kind)
        note(line)
        return True

    def finish(self) -> None:
        """The training is over: the prompt is kept."""
        last = self.observations[-1].step
        self.finish_at(self._prompt, last, last)

    def finish_at(self, prompt: AnyPrompt, step: int, last: int) -> None:
        """The training is over after its last step, and a prompt of this step is kept."""
        prompt = dataclasses.replace(prompt, base_model=prompt.base_model or self._place)
        with self._kept_going():
            try:
                self.record.finish(prompt, step, self._measured(step), last)
            except ProbeError as error:
                self.record.fail(f"the prompt is not kept: {error}")
                raise
        self._close()

    def _measured(self, step: int) -> dict[str, float]:
        """All that was measured at the last evaluation up to a step."""
        before = [at for at, _ in self._evaluations if at <= step]
        found = [measured for at, measured in self._evaluations if at in before[-1:]]
        return {name: value for measured in found for name, value in measured.items()}

    def fail(self, why: str) -> None:
        """The training broke off."""
        with self._kept_going():
            self.record.fail(why)
        self._close()

    def _written(self, seen: Observation) -> Observation:
        self.observations.append(seen)
        new = [line for line in seen.warnings if self.tell(line)]
        with self._kept_going():
            self.record.observe(seen, new)
        for sink in self._sinks:
            with self._kept_going(sink):
                sink.write(seen)
        return seen

    def _close(self) -> None:
        for sink in self._sinks:
            with self._kept_going(sink):
                sink.close()

    @contextmanager
    def _kept_going(self, sink: Sink | None = None) -> Iterator[None]:
        """A record or a tracker that cannot be written does not end somebody else's training."""
        try:
            yield
        except Exception as error:
            if sink is None and not isinstance(error, OSError | ProbeError | JobGoneError):
                raise
            where = "the run" if sink is None else f"what {type(sink).__name__} is given"
            self.tell(f"{where} is not recorded any more ({type(error).__name__}: {error})")


def _vocabulary(
    source: str | LiveModel | Vocabulary | None, prompt: AnyPrompt
) -> Vocabulary | None:
    """The table that rows stand in; None of a prefix, and where no model is known."""
    if source is None or not isinstance(prompt, SoftPrompt):
        return None
    if isinstance(source, Vocabulary):
        found = source
    else:
        try:
            found = load_vocabulary(source, None, prompt.submodule or "input")
        except ModelNotFoundError as error:
            note(f"{error}; without its tokens only norms and distances are watched")
            return None
    if found.width != prompt.width:
        raise PromptFormatError(
            f"{prompt.name} has rows of width {prompt.width}, the table of {found.name} has width "
            f"{found.width}: give the base model that it is trained on"
        )
    return found


def _place(source: str | LiveModel | Vocabulary | None, prompt: AnyPrompt) -> str | None:
    """What the kept prompt says of its base model."""
    known = source or prompt.live_model
    if isinstance(known, LiveModel):
        return known.place
    return known.name if isinstance(known, Vocabulary) else known


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True
