"""A watched training as a run of the workspace: its folder, what it logs, and how it ended."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from probe.integrations.faults import scores_of
from probe.integrations.observing import Observation
from probe.jobs.reporter import Reporter
from probe.prompt import AnyPrompt
from probe.requests import TrainConfig
from probe.store import (
    RECORDED_BY,
    TRAINING,
    JobConfig,
    JobFolder,
    Workspace,
    append_record,
    queued,
)
from probe.texts import as_json

RECORDER = "PromptWatch"
_LOSSES = ("eval_loss", "loss", "val_loss", "validation_loss")
_NOTHING = dict.fromkeys(
    (
        *("loss_nats", "gradient_norm", "norm", "lr", "tokens_per_s", "moved", "validation"),
        *("warning", "fold", "eta_s"),
    )
)
"""A record of `metrics.jsonl` in which nothing was measured."""


class RunRecord:
    """The folder of a training that somebody else runs in this process.

    Args:
        workspace: where it is made.
        name: of the prompt.
        model: of which it is, for people.
        task: which it is trained on, for people.
        training: what is known of its settings, as `TrainConfig` calls them.
        first_step: what it goes on from.

    Raises:
        WorkspaceError: the workspace cannot be written.
    """

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        model: str,
        task: str,
        training: Mapping[str, Any],
        first_step: int = 0,
    ) -> None:
        self._workspace = workspace
        settings = {**TrainConfig().to_dict(), "eval_every": 1, "steps": 1, **training}
        request = {"model": model, "task": task, "training": settings, RECORDED_BY: RECORDER}
        created = datetime.now(UTC).isoformat(timespec="seconds")
        # It trains in a process of its owner's: nobody waits for it, and it waits for nobody.
        status = queued(takes_turn=False)
        config = JobConfig("train", name, request, created)
        self.job: JobFolder = workspace.jobs.create(config, status)
        self._reporter = Reporter(self.job)
        self._reporter.doing(TRAINING)
        self._reporter.began(first_step)
        self.metric: str | None = None
        """Of validations, what is drawn, with or without `eval_`; where None, no loss first."""

    @property
    def wants_to_stop(self) -> bool:
        """Whether somebody asked the run to end."""
        return self.job.stop.exists()

    def log(self, step: int, logs: Mapping[str, Any]) -> None:
        """What the training says of its last updates."""
        loss = _number(logs.get("loss", logs.get("train_loss")))
        measured = {
            "loss_nats": loss,
            "lr": _number(logs.get("learning_rate", logs.get("lr"))),
            "gradient_norm": _number(logs.get("grad_norm")),
        }
        self._append({"step": step, **_NOTHING, **measured})
        status = dataclasses.replace(self._reporter.status, step=step, loss_nats=loss)
        self._reporter.beat(status)

    def observe(self, seen: Observation, notes: Sequence[str]) -> None:
        """What was seen of the prompt, and what of its warnings was not said before."""
        validation = self._validation(seen.metrics)
        measured = {
            "norm": seen.norm,
            "moved": seen.moved,
            "validation": validation,
            "warning": "; ".join(seen.warnings) or None,
        }
        self._append({"step": seen.step, **_NOTHING, **measured})
        with (self.job.path / "readings.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(seen.to_json()) + "\n")
        self._reporter.note(notes)
        status = dataclasses.replace(
            self._reporter.status,
            step=seen.step,
            validation=validation or self._reporter.status.validation,
            message="; ".join(seen.warnings),
        )
        self._reporter.beat(status, now=True)

    def finish(self, prompt: AnyPrompt, step: int, metrics: Mapping[str, float], last: int) -> None:
        """The training is over after its last step: keep its prompt, which is that of `step`."""
        config = self.job.config
        settings = {**config.request["training"], "steps": max(last, 1)}
        self.job.ask(dataclasses.replace(config, request={**config.request, "training": settings}))
        made = dataclasses.replace(
            prompt,
            name=config.name,
            task=prompt.task or config.request["task"],
            metrics={**prompt.metrics, **as_json(dict(metrics)), "step": step},
            config={**prompt.config, "run": self.job.id, RECORDED_BY: RECORDER},
        )
        kept = (self._workspace.save(made).id,)
        self._reporter.beat(dataclasses.replace(self._reporter.status, step=last))
        said = ["stopped when it was asked to"] * self.wants_to_stop
        said += [f"the prompt is that of step {step}, the best checkpoint"] * (step != last)
        self._reporter.end("finished", "; ".join(said), prompts=kept, metrics=as_json(metrics))

    def fail(self, message: str) -> None:
        """The training broke off."""
        self._reporter.end("failed", message)

    def _append(self, record: Mapping[str, Any]) -> None:
        with self.job.metrics.open("ab", buffering=0) as log:
            append_record(log, {**record, "time_s": time.time()})

    def _validation(self, metrics: Mapping[str, float]) -> dict[str, Any] | None:
        """An evaluation as the runs of `probe train` have it."""
        scores = scores_of(metrics)
        if not scores:
            return None
        loss = next((_number(metrics[name]) for name in _LOSSES if name in metrics), None)
        # A Trainer puts `eval_` before the name itself, so that people leave it out.
        named = next((one for one in (self.metric, f"eval_{self.metric}") if one in scores), None)
        metric = named or next((name for name in scores if name not in _LOSSES), scores[0])
        if metric in _LOSSES:
            return {"metric": "loss_nats", "value": loss, "loss_nats": loss, "examples": 0}
        return {"metric": metric, "value": metrics[metric], "loss_nats": loss, "examples": 0}


def _number(value: Any) -> float | None:
    """A finite number; None of anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
