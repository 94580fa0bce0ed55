"""Training soft prompts: an open loop over one frozen model and K prompts.

    training = train(model, task, TrainConfig(method="prompt_tuning", steps=500))
    for step in training:                   # one record per update and prompt; watchers stay here
        print(step.step, step.loss_nats, step.validation)
    (prompt,) = training.prompts            # SoftPrompt or KVPrefix, from the best validation
    save(prompt, "out", to="peft")          # probe.formats

**K at once.** Give K configurations, K tasks, or both (a single one serves all): seeds, tasks,
lengths, starts, targets and γ may differ, each prompt has its own loss, clipping, optimiser and
early stopping, and ends as it would alone. `Step.prompt` says which of them a record is about.
`folds(task, k)` makes the tasks of a k-fold cross-validation.

**Run folders.** With `run_folder`, a checkpoint (`checkpoints/step-…/`) is written every
`checkpoint_every` steps and at the end; `resume=True` goes on from the last one, bit by bit the
same on a CPU, or from the start where a kill came before the first. Records after the last
checkpoint come again: cut a log at the first step a resumed run yields. Between two records the
state is whole, so to stop on a signal set a flag in its handler, leave the loop, and `save()`.
A resumed run that had finished yields nothing and has its `prompts` at once; with more steps in
its configuration it goes on, at the rates that so many steps have.

**Stopping.** `Step.stopped` tells why a prompt's last record is its last: `finished`, `early: …`,
or `diverged: …` (a loss or gradient was not finite; the prompt of the last checkpoint is kept).
`Step.warning` speaks once, when the metric has not moved.

**Precision** is the model's: `load_model(…, dtype="bfloat16")` multiplies in bf16 under autocast,
while the prompt, its encoder and its optimiser stay float32. There is no loss scaling: under
float16 small gradients become 0.

Everything random draws from generators seeded by `TrainConfig.seed`; the global ones are left
alone. Workspace names are not known here: give `prompt:` a path or a hub id.

The names below are imported when first used: a configuration alone needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from probe.requests.train_config import INITS, TrainConfig

if TYPE_CHECKING:
    from probe.training.data import folds
    from probe.training.loop import Step, Training, train
    from probe.training.optimiser import learning_rate
    from probe.training.validation import Validation

__all__ = [
    "INITS",
    "Step",
    "TrainConfig",
    "Training",
    "Validation",
    "folds",
    "learning_rate",
    "train",
]

_HOMES = {
    "Step": "loop",
    "Training": "loop",
    "Validation": "validation",
    "folds": "data",
    "learning_rate": "optimiser",
    "train": "loop",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"probe.training.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'probe.training' has no attribute {name!r}")
