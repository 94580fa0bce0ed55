"""Trainings of others, watched: what their prompts look like on the way, and what goes wrong.

from probe.integrations import PromptWatch

trainer = Trainer(peft_model, args, ..., callbacks=[PromptWatch()])
trainer.train()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probe.integrations.observing import Observation
    from probe.integrations.prompt_watch import PromptWatch

__all__ = ["Observation", "PromptWatch"]

_PLACES = {"Observation": "observing", "PromptWatch": "prompt_watch"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:  # the Trainer comes with them, which takes seconds to import
        raise AttributeError(f"module 'probe.integrations' has no attribute {name!r}")
    return getattr(importlib.import_module(f"probe.integrations.{_PLACES[name]}"), name)
