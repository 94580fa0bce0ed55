"""Reading and writing trained soft prompts, whatever trained them. See docs/formats.md.

    prompts = load("path or owner/name")
    save(prompts[0], "out", to="peft")

A layout is one file of `probe.formats.layouts` and one entry of `FORMATS`. What is here is imported
when it is used: a model's table needs the readers of containers alone, a command line the names.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probe.formats.content import Content
    from probe.formats.in_memory import one_adapter, read_object
    from probe.formats.loading import load
    from probe.formats.registry import FORMATS, Format
    from probe.formats.writing import save

__all__ = ["FORMATS", "Content", "Format", "load", "one_adapter", "read_object", "save"]

_PLACES = {
    "FORMATS": "registry",
    "Format": "registry",
    "Content": "content",
    "load": "loading",
    "one_adapter": "in_memory",
    "read_object": "in_memory",
    "save": "writing",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'probe.formats' has no attribute {name!r}")
    return getattr(importlib.import_module(f"probe.formats.{_PLACES[name]}"), name)
