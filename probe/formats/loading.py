"""From what a user names to prompts: a path, one prompt of it, or a hub repository."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from probe.errors import PromptFormatError, words_of
from probe.formats.containers.limits import MAX_FILE_BYTES
from probe.formats.layouts import probe_file
from probe.formats.reading import Rest, beside, beside_others, holds_adapter, known_files, read_path
from probe.hub import answer_wait_s
from probe.paths import is_hub_id
from probe.prompt import AnyPrompt
from probe.texts import did_you_mean


def load(source: str | Path, *, revision: str | None = None) -> list[AnyPrompt]:
    """Every prompt of a file, a folder or a hub repository.

    Args:
        source: a path or a hub id `owner/name`; `PATH#name` picks one prompt, or one folder, of it.
        revision: branch, tag or commit of a hub repository.

    Raises:
        PromptFormatError: nothing is there, it holds no prompt, or a damaged or unsafe one.
    """
    whole = str(source)
    if os.path.exists(whole):
        return read_path(Path(whole))
    base, _, wanted = whole.rpartition("#")
    if base and wanted and os.path.exists(base):
        return _picked(Path(base), wanted)
    if is_hub_id(base or whole) and not Path(base or whole).parent.is_dir():
        return _from_hub(base or whole, revision, wanted if base else "")
    raise PromptFormatError(
        f"{whole}: expected a file, a folder or a hub id like owner/name, found nothing there"
    )


def _picked(path: Path, wanted: str) -> list[AnyPrompt]:
    """One prompt of a path, or those of one folder in it (PEFT keeps further adapters so)."""
    if wanted not in (".", "..") and (path / wanted).is_dir():
        return read_path(path / wanted)
    return [_named(read_path(path), wanted, str(path))]


def _from_hub(repository: str, revision: str | None, wanted: str) -> list[AnyPrompt]:
    if not wanted:
        return read_hub(repository, revision)
    try:
        return read_hub(repository, revision, wanted)
    except PromptFormatError:  # no such folder, so it names a prompt
        return [_named(read_hub(repository, revision), wanted, repository)]


def _named(prompts: list[AnyPrompt], wanted: str, source: str) -> AnyPrompt:
    exact = [prompt for prompt in prompts if prompt.name == wanted]
    found = exact or [prompt for prompt in prompts if prompt.name.endswith(f"-{wanted}")]
    if len(found) != 1:
        names = ", ".join(repr(prompt.name) for prompt in prompts[:20])
        hint = "" if found else did_you_mean(wanted, [prompt.name for prompt in prompts])
        raise PromptFormatError(f"{source} has no single prompt {wanted!r}, it holds {names}{hint}")
    return found[0]


_BESIDE = ("adapter_config.json", "model_config.yaml")


def read_hub(repository: str, revision: str | None, folder: str = "") -> list[AnyPrompt]:
    """Every prompt of a hub repository, or of one folder in it.

    Raises:
        PromptFormatError: the repository cannot be reached, or holds no prompt.
    """
    local, rest = _download(repository, revision, folder)
    name = (folder or repository).rpartition("/")[2]
    read = beside_others(read_path(local), rest)
    return [_published(prompt, local.name, name, repository) for prompt in read]


def _published(prompt: AnyPrompt, found_as: str, name: str, repository: str) -> AnyPrompt:
    """The prompt under the repository's name instead of the cache folder's."""
    if prompt.name.startswith(found_as):
        prompt = prompt.renamed(name + prompt.name.removeprefix(found_as))
    if prompt.provenance is None:
        return prompt
    return replace(prompt, provenance=replace(prompt.provenance, path=repository))


def _download(repository: str, revision: str | None, folder: str) -> tuple[Path, Rest]:
    """The local folder with the prompt's files, and what was not downloaded with them.

    Offline it is the folder as cached.
    """
    from huggingface_hub import constants, hf_hub_download, snapshot_download

    try:
        if constants.HF_HUB_OFFLINE:
            cached = snapshot_download(repository, revision=revision, local_files_only=True)
            return Path(cached, folder), ()
        names, rest = _wanted(repository, revision, folder)
        paths = [hf_hub_download(repository, name, revision=revision) for name in names]
    except PromptFormatError:
        raise
    except Exception as error:  # the client lets through what its HTTP library of the day raises
        offline = "HF_HUB_OFFLINE is set and it was never downloaded"
        reason = offline if constants.HF_HUB_OFFLINE else words_of(error)
        raise PromptFormatError(
            f"{repository}: no such file or folder here, and not to be had from the hub ({reason})"
        ) from error
    return Path(paths[0]).parent, rest


def _wanted(repository: str, revision: str | None, folder: str) -> tuple[list[str], Rest]:
    """The few files to download, and what else the folder holds that is part of an adapter."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(
        repository, revision=revision, files_metadata=True, timeout=answer_wait_s()
    )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    here = {
        PurePosixPath(path).name: path
        for path in sizes
        if PurePosixPath(path).parent == PurePosixPath(folder or ".")
    }
    try:
        known = known_files(set(here)) or [name for name in (probe_file.FILE,) if name in here]
    except PromptFormatError as error:
        raise PromptFormatError(f"{repository}: {error}") from error
    if not known:
        raise PromptFormatError(
            f"{repository}: expected a PEFT, AdapterHub or diffusers prompt, found "
            f"{', '.join(sorted(here)[:5]) or 'no file'}"
        )
    names = [here[name] for name in (*known, *_BESIDE) if name in here]
    if too_large := [name for name in names if sizes[name] > MAX_FILE_BYTES]:
        raise PromptFormatError(
            f"{repository}: {too_large[0]} has {sizes[too_large[0]]} bytes, a prompt file has at "
            f"most {MAX_FILE_BYTES}"
        )
    return names, beside(known, here, _adapters_below(sizes, folder))


def _adapters_below(paths: Iterable[str], folder: str) -> list[str]:
    """Folders below one of a repository, by their paths in it, that hold an adapter."""
    root = PurePosixPath(folder or ".")
    parents: dict[str, list[str]] = {}
    for path in map(PurePosixPath, paths):
        if path.is_relative_to(root) and path.parent != root:
            parents.setdefault(str(path.parent.relative_to(root)), []).append(path.name)
    return sorted(name for name, files in parents.items() if holds_adapter(files))
