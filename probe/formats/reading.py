"""From a path to prompts: one file, or a folder and which of its files hold them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from probe.errors import PromptFormatError, words_of
from probe.formats.build import distinct
from probe.formats.containers.zip import SHARDED
from probe.formats.content import Content, NoContainerError, open_content
from probe.formats.layouts import adapterhub, bare, nemo, peft, probe_file
from probe.formats.refusal import refusal, require_gathered
from probe.formats.registry import FORMATS
from probe.formats.weights import shortened
from probe.notes import note
from probe.prompt import AnyPrompt, KVPrefix, LeftOut, Provenance, SoftPrompt

Rest = tuple[LeftOut, ...]

MAX_ENTRIES = 1000
_CHOICES = (peft.WEIGHT_FILES, adapterhub.WEIGHT_FILES, (nemo.WEIGHTS_FILE,))
"""Of each group a folder holds one prompt, in the first file that is there."""
_ADAPTERS = {*peft.WEIGHT_FILES, *adapterhub.WEIGHT_FILES}
READ_FIRST = sorted({peft.CONFIG_FILE, *_ADAPTERS})
"""Files that are read where they lie beside vectors without a card."""
_ANOTHER = "another adapter, which PATH#NAME of its folder reads"
_HEADS = ("model_head.safetensors", "pytorch_model_head.bin")
"""AdapterHub's prediction heads (adapters/utils.py)."""


def known_files(names: set[str]) -> list[str]:
    """The files of a known layout among a folder's names, empty where there is none.

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
    """What a folder holds beside the known files, and folders of adapters below it."""
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


_LOG = logging.getLogger(__name__)

_DEPTH = 3


def read_path(path: Path) -> list[AnyPrompt]:
    """Every prompt of a file or folder, each under its own name.

    Raises:
        PromptFormatError: there is no prompt, or it is damaged.
    """
    found = _read_folder(path, _DEPTH) if path.is_dir() else read_one(path)
    return distinct(found)


def read_one(path: Path) -> list[AnyPrompt]:
    """Every prompt of one file.

    Raises:
        PromptFormatError: the file holds no prompt of a known layout, or a damaged one.
    """
    content = open_content(path)
    if path.suffix == ".distcp":  # of one tensor it is a torch file like any other
        raise PromptFormatError(f"{path}: expected a whole tensor: {SHARDED}")
    return read_content(content)


def read_content(content: Content) -> list[AnyPrompt]:
    """Every prompt of what a file, or an object in memory, holds.

    Raises:
        PromptFormatError: it holds no prompt of a known layout, or a damaged one.
    """
    require_gathered(content)
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused as not finite
        for prompts in _attempts(content):
            if prompts:
                return prompts
    raise refusal(content)


def _attempts(content: Content) -> Iterator[list[AnyPrompt] | None]:
    """What each layout makes of a file; those that distributions add come first."""
    for name, format_ in FORMATS.added.items():
        if format_.reader is not None:
            try:
                yield _checked(format_.reader(content), content.provenance(name))
            except PromptFormatError:
                raise
            except Exception as error:  # code of others may raise anything
                said = words_of(error)
                note(f"the format {name}, which an installed distribution adds, failed: {said}")
    for format_ in FORMATS.builtin.values():
        if format_.reader is not None:
            yield format_.reader(content)


def _checked(prompts: list[AnyPrompt] | None, origin: Provenance) -> list[AnyPrompt]:
    """Prompts of another's reader, which know where they came from."""
    found = list(prompts or ())
    if not all(isinstance(one, SoftPrompt | KVPrefix) for one in found):
        raise TypeError("expected soft prompts or prefixes")
    return [replace(one, provenance=one.provenance or origin) for one in found]


def beside_others(prompts: list[AnyPrompt], rest: tuple[LeftOut, ...]) -> list[AnyPrompt]:
    """The same prompts, once more is known of what was left out."""
    if not rest:
        return prompts
    return [
        replace(prompt, left_out=tuple(dict.fromkeys((*prompt.left_out, *rest))))
        for prompt in prompts
    ]


def _read_folder(folder: Path, depth: int) -> list[AnyPrompt]:
    files, folders = entries(folder)
    try:
        known = known_files({path.name for path in files})
    except PromptFormatError as error:
        raise PromptFormatError(f"{folder}: {error}") from error
    if known:
        read = [prompt for name in known for prompt in read_one(folder / name)]
        adapters = _adapters_in(folders, _DEPTH - 1)
        return beside_others(read, beside(known, [path.name for path in files], adapters))
    if rank := nemo.first_rank(folders):
        return read_one(rank)
    found: list[AnyPrompt] = []
    errors: list[PromptFormatError] = []
    for path in [*files, *(folders if depth else [])]:
        try:
            found += _read_folder(path, depth - 1) if path.is_dir() else read_one(path)
        except PromptFormatError as error:
            errors.append(error)
    if not found:
        raise _most_telling(errors, folder)
    for left in errors:
        _LOG.info("left out: %s", left)
    return found


def _adapters_in(folders: Iterable[Path], depth: int) -> Iterator[str]:
    """Names of those folders, and of folders in them, that hold an adapter."""
    for folder in folders:
        try:
            files, inner = entries(folder)
        except PromptFormatError:  # it cannot be listed: what it holds is not known
            continue
        if holds_adapter(path.name for path in files):
            yield folder.name
        if depth:
            yield from (f"{folder.name}/{name}" for name in _adapters_in(inner, depth - 1))


def _most_telling(errors: Sequence[PromptFormatError], folder: Path) -> PromptFormatError:
    """Why a folder has no prompt: by a file that could have held one, where there is any."""
    telling = [error for error in errors if not isinstance(error, NoContainerError)]
    empty = PromptFormatError(f"{folder}: expected prompt files, the folder is empty")
    return next(iter([*telling, *errors]), empty)
