"""From a path to prompts: one file, or a folder of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from probe.errors import PromptFormatError
from probe.formats.build import distinct
from probe.formats.content import Content, open_content
from probe.formats.folders import beside, entries, holds_adapter, known_files
from probe.formats.layouts import nemo
from probe.formats.refusal import refusal, require_gathered
from probe.formats.registry import FORMATS
from probe.notes import note
from probe.prompt import AnyPrompt, KVPrefix, LeftOut, Provenance, SoftPrompt

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
                why = " ".join(str(error).split())[:200] or type(error).__name__
                note(f"the format {name}, which an installed distribution adds, failed: {why}")
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
        adapters = [path.name for path in folders if holds_adapter(os.listdir(path))]
        return beside_others(read, beside(known, [path.name for path in files], adapters))
    if rank := nemo.first_rank(folders):
        return read_one(rank)
    found: list[AnyPrompt] = []
    first: PromptFormatError | None = None
    for path in [*files, *(folders if depth else [])]:
        try:
            found += _read_folder(path, depth - 1) if path.is_dir() else read_one(path)
        except PromptFormatError as error:
            first = first or error
            _LOG.info("left out: %s", error)
    if not found:
        raise first or PromptFormatError(f"{folder}: expected prompt files, the folder is empty")
    return found
