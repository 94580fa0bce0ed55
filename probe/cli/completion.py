"""What the shell offers after a tab: prompts, files and models."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from probe.formats.registry import WRITTEN, writable_formats
from probe.measures import MEASURES
from probe.requests.base import Completion

# zsh evaluates what a program offers: no name of a file, and no base model that a downloaded prompt
# names, must be able to quote or run anything.
_PLAIN = re.compile(r"[\w./@+,=~:-]+" if os.sep == "/" else r"[\w./@+,=~:\\-]+")


def complete_prompt(incomplete: str) -> list[str]:
    """Workspace prompts, sample prompts, and files that begin as typed."""
    return [*offered(_known(), incomplete), *_paths(incomplete)]


def complete_workspace_prompt(incomplete: str) -> list[str]:
    """Workspace prompts that begin as typed."""
    from probe.store import Workspace

    return sorted(offered(Workspace().prompts.ids(), incomplete))


def complete_model(incomplete: str) -> list[str]:
    """The models that always have a name, base models of the library, and folders."""
    from probe.tables.named import ALWAYS_NAMED

    named = sorted(offered({*ALWAYS_NAMED, *_base_models()}, incomplete))
    return [*named, *(path for path in _paths(incomplete) if path.endswith(os.sep))]


def complete_task(incomplete: str) -> list[str]:
    """Tasks that are known by name and begin as typed."""
    from probe.datasets import task_names

    return offered(task_names(), incomplete)


def complete_run(incomplete: str) -> list[str]:
    """Runs and studies that begin as typed."""
    from probe.store import Workspace

    return offered(Workspace().jobs.ids(), incomplete)


def offered(names: Iterable[str], incomplete: str) -> list[str]:
    """Names that begin as typed, which the shell takes for names: no quoting, and no options."""
    return [name for name in names if name.startswith(incomplete) and _is_plain(name)]


def _is_plain(name: str) -> bool:
    return bool(_PLAIN.fullmatch(name)) and not name.startswith("-")


def _known() -> list[str]:
    from probe.store import Library

    return Library().names()


def _base_models() -> set[str]:
    from probe.errors import ProbeError
    from probe.store import Workspace

    try:
        return {card.base_model for card in Workspace().list() if card.base_model}
    except ProbeError:
        return set()  # a tab is no place for an error


def _paths(incomplete: str) -> list[str]:
    found = sorted(glob.glob(f"{glob.escape(incomplete)}*"))
    plain = (path for path in found if _is_plain(path))
    return [path + os.sep if os.path.isdir(path) else path for path in plain]


COMPLETIONS: Mapping[Completion, Callable[[str], list[str]]] = {
    "prompt": complete_prompt,
    "workspace_prompt": complete_workspace_prompt,
    "model": complete_model,
    "task": complete_task,
    "run": complete_run,
}
"""By what a field of a request is completed with."""


def named_in(ours: Iterable[str], every: Callable[[], Iterable[str]]) -> dict[str, Any]:
    """What typer has to know of such an option.

    Args:
        ours: the names that the help lists.
        every: these and those that distributions add; asked where a name is none of ours.
    """
    names = tuple(ours)

    def parse(name: str) -> str:
        if name not in names and name not in (known := tuple(every())):
            raise ValueError(f"{name!r} is not one of {', '.join(map(repr, known))}.")
        return name

    def complete(incomplete: str) -> list[str]:
        return offered(every(), incomplete)

    return {"parser": parse, "autocompletion": complete, "metavar": f"<{'|'.join(names)}>"}


NAMED: dict[Completion, dict[str, Any]] = {
    "measure": named_in(MEASURES.builtin, lambda: MEASURES.names),
    "layout": named_in(WRITTEN, writable_formats),
}
"""By what a field of a request is a name of."""
