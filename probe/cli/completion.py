"""What the shell offers after a tab: prompts, files and models."""

from __future__ import annotations

import glob
import os
import re

# zsh evaluates what a program offers: no name of a file, and no base model that a downloaded prompt
# names, must be able to quote or run anything.
_PLAIN = re.compile(r"[\w./@+,=~:-]+" if os.sep == "/" else r"[\w./@+,=~:\\-]+")


def complete_prompt(incomplete: str) -> list[str]:
    """Workspace prompts, sample prompts, and files that begin as typed."""
    names = [name for name in _known() if name.startswith(incomplete)]
    return [*names, *_paths(incomplete)]


def complete_workspace_prompt(incomplete: str) -> list[str]:
    """Workspace prompts that begin as typed."""
    from probe.store import Workspace

    return sorted(name for name in Workspace().prompts.ids() if name.startswith(incomplete))


def complete_model(incomplete: str) -> list[str]:
    """The models that always have a name, base models of the library, and folders."""
    from probe.tables.named import ALWAYS_NAMED

    models = {*ALWAYS_NAMED, *_base_models()}
    named = sorted(name for name in models if name.startswith(incomplete))
    return [*named, *(path for path in _paths(incomplete) if path.endswith(os.sep))]


def _known() -> list[str]:
    from probe.store import Workspace
    from probe.verbs.loading import known_names

    return list(known_names(Workspace()))


def _base_models() -> set[str]:
    from probe.errors import ProbeError
    from probe.store import Workspace

    try:
        named = {card.base_model for card in Workspace().list() if card.base_model}
    except ProbeError:
        return set()  # a tab is no place for an error
    return {name for name in named if _PLAIN.fullmatch(name)}


def _paths(incomplete: str) -> list[str]:
    found = sorted(glob.glob(f"{glob.escape(incomplete)}*"))
    plain = (path for path in found if _PLAIN.fullmatch(path))
    return [path + os.sep if os.path.isdir(path) else path for path in plain]
