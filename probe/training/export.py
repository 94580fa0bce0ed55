"""What a run leaves behind: rows or a prefix, without the encoder that made them."""

from __future__ import annotations

from typing import Any

import torch
from torch.func import functional_call

from probe.arrays import Float32Array
from probe.models import FrozenModel
from probe.prompt import START_NEAREST, AnyPrompt, KVPrefix, SoftPrompt, Submodule
from probe.requests.train_methods import METHODS
from probe.training.prompt_run import PromptRun


@torch.no_grad()
def exported(model: FrozenModel, run: PromptRun, weights: str) -> AnyPrompt:
    """The prompt of a run at its best validation; as it is now under γ, or where none was made.

    Args:
        model: what it was trained on.
        run: the run.
        weights: the model's fingerprint: one name may stand for other weights elsewhere, as for a
            quantised copy.
    """
    state = run.module.state_dict() if run.best is None else run.best
    made = functional_call(run.module, state, ()).float().cpu().numpy()
    config = _config(model, run) | {"model_sha256": weights} | run.module.describe(state)
    carried = _carried(model, run) | {"metrics": _metrics(run), "config": config}
    if made.ndim == 5:
        half: Submodule | None = "decoder" if model.two_stacks else None
        return KVPrefix(keys=made[:, 0], values=made[:, 1], submodule=half, **carried)
    return _of_rows(model, run, made, carried)


@torch.no_grad()
def as_it_is(model: FrozenModel, run: PromptRun) -> SoftPrompt:
    """The rows of a run, which trains no prefix, as they are after the updates made so far."""
    now = {"metrics": {"step": run.step}, "config": _config(model, run)}
    made = run.module().float().cpu().numpy()
    return _of_rows(model, run, made, _carried(model, run) | now)


def _carried(model: FrozenModel, run: PromptRun) -> dict[str, Any]:
    name = f"{run.task.name}-{run.config.method}"
    return {"name": name, "base_model": model.place, "task": run.task.name}


def _of_rows(
    model: FrozenModel, run: PromptRun, rows: Float32Array, carried: dict[str, Any]
) -> SoftPrompt:
    return SoftPrompt(
        embeddings=rows,
        method=METHODS[run.config.method].saved_as,
        submodule="encoder" if model.two_stacks else None,
        init_token_ids=run.start.token_ids if run.module.begins_at_start else None,
        **carried,
    )


def _config(model: FrozenModel, run: PromptRun) -> dict[str, Any]:
    """How the prompt was made and is to be used; `task_type` is PEFT's word for the family."""
    config: dict[str, Any] = {
        "family": model.family,
        "template": run.config.template or run.task.template,
        "label_words": run.task.words,
        "training": run.config.to_dict() | {"learning_rate": run.peak},
    }
    nearest = run.start.nearest_ids
    if nearest is None and not run.module.begins_at_start:
        nearest = run.start.token_ids
    if nearest is not None:
        config[START_NEAREST] = list(nearest)
    if model.peft_task is not None:
        config["task_type"] = model.peft_task
    return config


def _metrics(run: PromptRun) -> dict[str, Any]:
    if run.kept_validation is None:
        return {"step": run.step}
    step, found = run.kept_validation
    return {
        "step": step,
        f"validation_{found.metric}": found.value,
        "validation_loss_nats": found.loss_nats,
        "validation_examples": found.examples,
    }
