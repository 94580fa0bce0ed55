"""Which files of a folder hold its prompts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from probe.errors import PromptFormatError
from probe.formats.layouts import adapterhub, bare, nemo, peft, probe_file
from probe.formats.weights import shortened
from probe.prompt import LeftOut

Rest = tuple[LeftOut, ...]

MAX_ENTRIES = 1000
_CHOICES = (peft.WEIGHT_FILES, adapterhub.WEIGHT_FILES, (nemo.WEIGHTS_FILE,))
"""Of each group a folder holds one prompt, in the first file that is there."""
_ADAPTERS = {*peft.WEIGHT_FILES, *adapterhub.WEIGHT_FILES}
_ANOTHER = "another adapter, which PATH#NAME of its folder reads"
_HEADS = ("model_head.safetensors", "pytorch_model_head.bin")
"""AdapterHub's prediction heads (adapters/utils.py)."""


def known_files(names: set[str]) -> list[str]:
    """The files of a known layout among a folder's names, empty where there is none.

    Args:
        names: file names of one folder.

    Raises:
        PromptFormatError: an adapter's configuration without its weights.
    """
    if {probe_file.FILE, probe_file.CARD_FILE} <= names:
        return [probe_file.FILE]
    chosen = [next((name for name in group if name in names), None) for group in _CHOICES]
    if found := [name for name in chosen if name]:
        return found[:1]
    if peft.CONFIG_FILE in names:
        raise PromptFormatError(
            f"{peft.CONFIG_FILE} is there without its weights: expected one of "
            f"{', '.join((*peft.WEIGHT_FILES, *adapterhub.WEIGHT_FILES))}"
        )
    if pair := [name for name in bare.TGIS_FILES if name in names]:
        return pair
    concepts = sorted(name for name in names if _is_concept(name))
    return [name for name in concepts if not _has_twin(name, concepts)]


def beside(known: Sequence[str], files: Iterable[str], adapters: Iterable[str]) -> Rest:
    """What a folder of a known layout holds beside the files that are read.

    Args:
        known: names of the files that are read.
        files: names of all its files.
        adapters: names of its subfolders that hold an adapter each.
    """
    unread = [name for name in files if name not in known]
    heads = [LeftOut(name, None, "a trained head", True) for name in unread if name in _HEADS]
    twins = [
        LeftOut(name, None, f"other weights of the adapter: {known[0]} comes before them")
        for name in unread
        if name in _ADAPTERS
    ]
    folders = [LeftOut(f"{name}/", None, _ANOTHER) for name in adapters]
    return shortened([*heads, *twins, *folders])


def holds_adapter(names: Iterable[str]) -> bool:
    """Whether one of a folder's files is an adapter's weights."""
    return not _ADAPTERS.isdisjoint(names)


def _is_concept(name: str) -> bool:
    return name.startswith("learned_embeds") and name.endswith((".safetensors", ".bin"))


def _has_twin(name: str, names: list[str]) -> bool:
    """The same concept is there as safetensors."""
    return name.endswith(".bin") and f"{name.removesuffix('.bin')}.safetensors" in names


def entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Files and subfolders of a folder, sorted, hidden ones left out.

    Raises:
        PromptFormatError: the folder cannot be listed or holds too much to look through.
    """
    try:
        found = sorted(_bounded(folder))
    except OSError as error:
        raise PromptFormatError(f"{folder}: cannot be listed ({error.strerror})") from error
    visible = [path for path in found if not path.name.startswith(".")]
    return [p for p in visible if p.is_file()], [p for p in visible if p.is_dir()]


def _bounded(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as found:
        for count, entry in enumerate(found):
            if count >= MAX_ENTRIES:
                raise PromptFormatError(
                    f"{folder}: more than {MAX_ENTRIES} entries, name the prompt's own file"
                )
            yield Path(entry.path)
