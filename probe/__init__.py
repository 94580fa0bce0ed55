"""`probe`: what does a trained soft prompt mean?

Types and verbs are imported when first used, so that `import probe` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from probe.commands import FUNCTIONS
from probe.errors import ProbeError, PromptFormatError

if TYPE_CHECKING:
    from probe.prompt import KVPrefix, PromptPair, Provenance, SoftPrompt
    from probe.task import Example, Task
    from probe.vocabulary import Vocabulary

__version__ = "0.1.0"

_MODULES = FUNCTIONS | {
    "Example": "probe.task",
    "KVPrefix": "probe.prompt",
    "PromptPair": "probe.prompt",
    "Provenance": "probe.prompt",
    "SoftPrompt": "probe.prompt",
    "Task": "probe.task",
    "Vocabulary": "probe.vocabulary",
}

_PACKAGES = ("evaluation", "formats", "integrations", "models", "training", "verbs")
"""`probe.training` is the trainer, step by step; `probe.train` does what the command does."""

__all__ = [
    "Example",
    "KVPrefix",
    "ProbeError",
    "PromptFormatError",
    "PromptPair",
    "Provenance",
    "SoftPrompt",
    "Task",
    "Vocabulary",
    *_PACKAGES,
    *_MODULES,
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    if name in _PACKAGES:
        return importlib.import_module(f"probe.{name}")
    raise AttributeError(f"module 'probe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
