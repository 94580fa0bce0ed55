"""Watch a soft prompt while somebody else's loop trains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from probe import formats
from probe.errors import PromptFormatError
from probe.integrations.faults import UNUSED, equal_logits, is_unused
from probe.integrations.observing import Observation, Observer
from probe.integrations.sinks import Sink, require_sinks
from probe.integrations.trainer_facts import (
    compared_batch,
    is_sharded,
    loaded_step,
    require_peft,
    same_randomness,
    settings_of,
)
from probe.integrations.watched_run import Asked, WatchedRun
from probe.live import LivePrompt, is_peft, live_model
from probe.prompt import AnyPrompt
from probe.requests.sources import PromptSource, TableSource
from probe.store import Library, Workspace
from probe.vocabulary import Vocabulary


class PromptWatch(TrainerCallback):
    """Says at every evaluation what a prompt in training is like, and what seems to go wrong.

    As a callback of transformers' Trainer with a PEFT model it needs nothing:

        trainer = Trainer(peft_model, args, ..., callbacks=[PromptWatch(task="sst2")])

    In a loop of one's own, or in Lightning, `step` takes the rows:

        with PromptWatch((model, tokenizer), name="mine") as watch:
            watch.step(rows, step=0)
            ...
            watch.step(rows, step=100, metrics={"accuracy": 0.7})

    An observation has the readings that run no model, the rows' norms and distances from their
    start, how many are still there, the share outside the token distribution, and warnings. It
    goes to the sinks and, as a run of the workspace that the Runs page and `probe runs show` open,
    to `metrics.jsonl` and `readings.jsonl` of the run's folder. The prompt is kept at the end, with
    `load_best_model_at_end` that of the best checkpoint. The model's modes and gradients, and the
    random numbers of the training, are left as they are.

    Args:
        model: the base model, in memory or by name, of rows that are no PEFT model, or its
            vocabulary; without any only norms and distances are seen.
        name: of the prompt in the workspace.
        task: what it is trained on, for people.
        adapter: of a PEFT model which one; the active one when None.
        readings: any of nearest, displacement, sparse and mixture.
        sinks: tensorboard, trackio, wandb, a `.jsonl` file, or objects with `write` and `close`.
        workspace: where the run is recorded; the default one when None.

    Raises:
        ProbeError: there is no such sink, or its library is not installed.
        ValueError: a reading runs the model, or there is none of the name.
    """

    def __init__(
        self,
        model: TableSource | None = None,
        *,
        name: str = "watched",
        task: str = "watched",
        adapter: str | None = None,
        readings: Sequence[str] = ("nearest", "displacement"),
        sinks: str | Path | Sequence[str | Path | Sink] = (),
        workspace: str | PathLike[str] | None = None,
    ) -> None:  # fmt: skip
        Observer(None, readings)  # refuses readings now, not when training begins
        asked_sinks = (sinks,) if isinstance(sinks, str | Path) else tuple(sinks)
        require_sinks(asked_sinks)
        named = model is None or isinstance(model, str | Path | Vocabulary)
        source: Any = str(model) if isinstance(model, Path) else model
        self._asked = Asked(
            workspace=Workspace(workspace),
            name=name,
            task=task,
            readings=tuple(readings),
            sinks=asked_sinks,
            model=source if named else live_model(model),
        )
        self._adapter = adapter
        self._trained: Any = None
        self._run: WatchedRun | None = None
        self._seen: list[Observation] = []

    @property
    def observations(self) -> list[Observation]:
        """All of the present run, or of the last one."""
        return self._seen

    @property
    def run(self) -> str | None:
        """The name of the present run in the workspace; None where none has begun."""
        return None if self._run is None else self._run.record.job.id

    @property
    def wants_to_stop(self) -> bool:
        """Whether somebody asked the run to end, on the Runs page or by `probe runs cancel`."""
        return self._run is not None and self._run.record.wants_to_stop

    def step(
        self,
        rows: PromptSource,
        *,
        step: int,
        metrics: Mapping[str, float] | None = None,
        logits: Any = None,
        base_logits: Any = None,
    ) -> Observation:
        """Look at the prompt; the first call is its start.

        Args:
            rows: the prompt as it is now: rows [P, H] as a tensor, an array or a module, or a PEFT
                model.
            step: updates made so far.
            metrics: what an evaluation measured; None where there was none.
            logits: of one batch with the prompt, [B, P + T, V] or [B, T, V].
            base_logits: of the same batch by the base model alone, [B, T, V].

        Raises:
            PromptFormatError: at the first call, the rows are no prompt.
        """
        both = logits is not None and base_logits is not None
        warnings = [UNUSED] if both and equal_logits(logits, base_logits) else []
        return self._see(rows, step, metrics, warnings)

    def close(self) -> None:
        """End the run and keep its prompt; does nothing where there is none."""
        if self._run is not None:
            self._run.finish()
        self._run = None

    def __enter__(self) -> PromptWatch:
        """The watch itself."""
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """End the run, as failed where the loop did."""
        if error is None or self._run is None:
            self.close()
            return
        self._run.fail(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        self._run = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ARG002
        """The start of a run, seen before the first update."""
        if not state.is_world_process_zero:
            return
        if self._run is not None:
            self._run.fail("the training broke off before its end")
            self._run = None
        self._trained = require_peft(given["model"])
        tokenizer = given.get("processing_class")
        self._asked = replace(
            self._asked,
            model=self._asked.model or live_model(self._trained, tokenizer),
            settings=settings_of(args, state),
            metric=args.metric_for_best_model,
        )
        self._see(self._trained, state.global_step, None, self._faults(given))
        if self._run is not None and state.global_step:
            self._run.tell(
                f"the training goes on from step {state.global_step}: distances are from its rows "
                "of that step"
            )

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any  # noqa: ARG002
    ) -> None:  # fmt: skip
        """Losses and rates between evaluations."""
        if self._run is not None and logs and "loss" in logs:
            self._run.log(state.global_step, logs)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **given: Any  # noqa: ARG002
    ) -> None:  # fmt: skip
        """What the prompt is like now."""
        if self._run is not None:
            self._see(self._trained, state.global_step, metrics, self._faults(given))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        """Let the Trainer end where somebody asked for it."""
        if self.wants_to_stop:
            control.should_training_stop = True
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """The end of a run; its prompt is kept, that of the best checkpoint if it was loaded."""
        if self._run is None:
            return
        if (best := loaded_step(args, state)) is not None:
            with suppress(PromptFormatError):  # rows that are no numbers end as any others do
                self._run.finish_at(self._prompt_of(self._trained), best, state.global_step)
                self._run = None
                return
        if self._seen[-1].step < state.global_step:
            self._see(self._trained, state.global_step, None, [])
        self.close()

    def _see(
        self,
        rows: PromptSource,
        step: int,
        metrics: Mapping[str, float] | None,
        warnings: Sequence[str],
    ) -> Observation:
        try:
            prompt = self._prompt_of(rows)
        except PromptFormatError as error:
            if self._run is None:
                raise
            return self._run.see_broken(step, str(error))
        if self._run is None:
            self._run = WatchedRun(self._asked, prompt, step)
            self._seen = self._run.observations
        with same_randomness():
            return self._run.see(prompt, step, metrics, warnings)

    def _prompt_of(self, rows: PromptSource) -> AnyPrompt:
        """The prompt of rows; of an adapter for several tasks that of the first."""
        if not is_peft(rows):
            return Library(self._asked.workspace).load_one(rows)
        return formats.read_object(formats.one_adapter(LivePrompt(rows, self._adapter)))[0]

    def _faults(self, given: Mapping[str, Any]) -> list[str]:
        """Whether the model answers as if it had no prompt."""
        if is_sharded(self._trained):
            return []
        try:
            batch = compared_batch(given)
            unused = batch is not None and is_unused(self._trained, batch)
        except Exception as error:  # another's data and model: nothing is said about the prompt
            if self._run is not None:
                self._run.tell(
                    f"whether the prompt is used is not known ({type(error).__name__}: "
                    f"{str(error)[:120]})"
                )
            return []
        return [UNUSED] if unused else []
