"""What transformers' Trainer tells its callbacks of a training."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from probe.errors import ProbeError
from probe.live import is_peft

_COMPARED = 2
"""Examples on which the model with the prompt is compared with the model alone."""


def require_peft(model: Any) -> Any:
    """The PEFT model that a Trainer trains.

    Raises:
        ProbeError: it is another.
    """
    if is_peft(model):
        return model
    raise ProbeError(
        f"PromptWatch watches PEFT models with a prompt, the Trainer has a {type(model).__name__}: "
        "wrap it with get_peft_model, or call watch.step(rows, step=...) in a loop of your own"
    )


def settings_of(args: Any, state: Any) -> dict[str, Any]:
    """The arguments of a Trainer as `TrainConfig` calls them."""
    of_one_process = args.train_batch_size * args.gradient_accumulation_steps
    return {
        "steps": max(int(state.max_steps), 1),
        "batch_size": int(of_one_process * args.world_size),
        "learning_rate": float(args.learning_rate),
        "weight_decay": float(args.weight_decay),
        "warmup_steps": int(args.get_warmup_steps(state.max_steps)),
        "clip_norm": float(args.max_grad_norm) if args.max_grad_norm else None,
        "seed": int(args.seed),
    }


def loaded_step(args: Any, state: Any) -> int | None:
    """The step of the best checkpoint, where the Trainer has gone back to it at the end."""
    if not args.load_best_model_at_end or state.best_model_checkpoint is None:
        return None
    step: int | None = state.best_global_step
    return step


def is_sharded(model: Any) -> bool:
    """Whether processes hold parts of the parameters, so that no one process runs it alone."""
    # DeepSpeed's ZeRO-3 names its parameters by `ds_id`; those of FSDP2 are DTensors.
    return any(hasattr(one, "ds_id") or hasattr(one, "placements") for one in model.parameters())


def compared_batch(given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A few examples as the model is called with them; None where they cannot be had again.

    Taken from the data set itself, so that no sampler moves on.
    """
    loaders = (given.get("eval_dataloader"), given.get("train_dataloader"))
    loader = next((one for one in loaders if one is not None), None)
    data = getattr(loader, "dataset", None)
    if loader is None or data is None or not hasattr(data, "__getitem__") or not len(data):
        return None
    with same_randomness():
        batch = loader.collate_fn([data[place] for place in range(min(_COMPARED, len(data)))])
    return batch if isinstance(batch, Mapping) else None


@contextmanager
def same_randomness() -> Iterator[None]:
    """Within the block random numbers may be drawn; the training's come as if they were not."""
    ours, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(arrays)  # noqa: NPY002
