"""Every layout of files that is read or written, by name.

Functions are named, not imported, so that a command line lists the names without loading arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from probe.plugins import Registry

if TYPE_CHECKING:
    from probe.formats.content import Content
    from probe.prompt import AnyPrompt

    Read = Callable[[Content], list[AnyPrompt] | None]
    Write = Callable[[AnyPrompt, Path], None]


@dataclass(frozen=True)
class Format:
    """One layout: how its files are known and read, and how a prompt is written in it."""

    read: Read | str | None = None
    """A function, or `module:function`, that looks at contents alone and answers None for files of
    other layouts."""
    write: Write | str | None = None
    """Fills a path where nothing is yet."""
    holds_prefixes: bool = False
    """Whether keys and values of every layer can be written, not rows alone."""

    @property
    def reader(self) -> Read | None:
        """What reads, imported where it is only named."""
        found: Read | None = _found(self.read)
        return found

    @property
    def writer(self) -> Write | None:
        """What writes, imported where it is only named."""
        found: Write | None = _found(self.write)
        return found


def _layout(module: str, *, write: str | None = None, holds_prefixes: bool = False) -> Format:
    place = "probe.formats.layouts"
    return Format(f"{place}.{module}:read", write and f"{place}.{write}:write", holds_prefixes)


def _found(function: Any) -> Any:
    return resolve_name(function) if isinstance(function, str) else function


FORMATS: Registry[Format] = Registry(
    "probe.formats",
    Format,
    {
        "safetensors": _layout("probe_file", write="probe_file", holds_prefixes=True),
        "p_tuning_v2": _layout("p_tuning_v2"),
        "npy": _layout("bare", write="bare"),
        "koboldai": _layout("koboldai", write="koboldai"),
        "mkultra": _layout("mkultra"),
        "contextualised": _layout("contextualised"),
        "nemo": _layout("nemo"),
        "trainable_tokens": _layout("trainable_tokens"),
        "peft": _layout("peft", write="peft_writer", holds_prefixes=True),
        "adapterhub": _layout("adapterhub"),
        "openprompt": _layout("openprompt"),
        "textual_inversion": _layout("textual_inversion"),
        "state_dict": _layout("state_dict"),
    },
)
"""In the order in which files are tried; the broadest comes last. A distribution adds one by an
entry point in the group `probe.formats` that is a `Format`; it is tried first."""

_OFTEN_WRITTEN = {"peft": 0, "npy": 1}
WRITTEN = sorted(
    (name for name, one in FORMATS.builtin.items() if one.write),
    key=lambda name: _OFTEN_WRITTEN.get(name, 2),
)
"""Our layouts that prompts are written in, the most used first."""


def writable_formats() -> dict[str, Format]:
    """The layouts that prompts are written in, ours first."""
    added = {name: one for name, one in FORMATS.added.items() if one.write is not None}
    return {name: FORMATS[name] for name in WRITTEN} | added
