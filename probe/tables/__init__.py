"""Vocabularies without models: embedding tables and tokenizers read straight from their files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from probe.errors import ModelNotFoundError
from probe.live import IN_MEMORY, LiveModel
from probe.tables.architectures import Which, require_which, text_config
from probe.tables.facts import ModelFacts, read_facts
from probe.tables.files import (
    Files,
    TextEncoderFiles,
    folder_files,
    parse_config,
    with_text_encoder,
)
from probe.tables.gguf_files import GgufFile, find_gguf
from probe.tables.in_memory import live_facts, read_live_vocabulary
from probe.tables.lookup import check_dimensions, check_layers, load_table
from probe.tables.named import (
    ALWAYS_NAMED,
    HUB_ID,
    default_model,
    named_path,
    place_of,
    place_on_disk,
    same_model,
)
from probe.tables.tokenizers_on_disk import read_tokenizer
from probe.texts import closest, did_you_mean
from probe.vocabulary import Vocabulary


def load_vocabulary(
    model: str | Path | LiveModel, revision: str | None = None, which: Which = "input"
) -> Vocabulary:
    """A model's tokens and embedding table, without building the model.

    Only `config.json`, a header, the table's own bytes and the tokenizer are read; the table is
    memory-mapped in its stored precision. Its rows are what the model's embedding layer answers.

    Args:
        model: `builtin`, `minilm`, `smollm2`, a folder saved by transformers or of a diffusers
            pipeline (its text encoder is read), a GGUF file or a folder with one, a hub id, or a
            GGUF file on the hub as `org/name:file.gguf`. Or a model in memory.
        revision: branch, tag or commit of a hub id.
        which: the input table, or the one an encoder–decoder model's stack reads.

    Raises:
        ModelNotFoundError: the model, its table or its tokenizer cannot be found or read.
        MissingExtraError: `minilm` is not installed.
    """
    require_which(which)
    if isinstance(model, LiveModel):
        return read_live_vocabulary(model, which)
    with _reading(model):
        found = _found(model, revision)
        if isinstance(found, GgufFile):
            from probe.tables.gguf_model import load_gguf_vocabulary

            return load_gguf_vocabulary(str(model), found, which)
        return _read(str(model), found, which)


def model_facts(model: str | Path | LiveModel, revision: str | None = None) -> ModelFacts:
    """What can be known of what `load_vocabulary` takes from its small files, without torch.

    Raises:
        ModelNotFoundError: there is no such model, or it has no readable configuration.
        MissingExtraError: `minilm` is not installed.
    """
    if isinstance(model, LiveModel):
        return live_facts(model)
    with _reading(model):
        found = _found(model, revision)
        if isinstance(found, GgufFile):
            from probe.tables.gguf_model import read_gguf_facts

            return read_gguf_facts(str(model), found)
        return read_facts(str(model), found, _config(found))


@contextmanager
def _reading(model: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelNotFoundError(
            f"{model} cannot be read ({error.strerror or error}): check the files"
        ) from error


def check_model_files(model: str | Path, revision: str | None = None) -> None:
    """Refuse files on this machine from which no language model can be built, without building.

    Args:
        model: a name, a folder, or a hub id that the hub's own cache may hold.
        revision: branch, tag or commit of a hub id.

    Raises:
        ModelNotFoundError: a pipeline, or sizes that are not those of the weights.
    """
    folder = place_on_disk(str(model), revision)
    if folder is None or not folder.is_dir():
        return
    files = folder_files(folder, str(model))
    if isinstance(files, TextEncoderFiles):
        raise ModelNotFoundError(
            f"{files.where} is the text encoder of an image pipeline, which predicts no text: "
            "decode, find and map read its table, to run a prompt name a language model"
        )
    if (data := files.small("config.json")) is not None:
        config = parse_config(data, files.where)
        check_layers(config, files)
        check_dimensions(config, files)


def _config(files: Files) -> dict[str, Any]:
    data = files.small("config.json")
    if data is None:
        if files.size("adapter_config.json") is not None:
            raise ModelNotFoundError(
                f"{files.where} is an adapter, not a model: name the model that it was trained on, "
                "which its adapter_config.json calls base_model_name_or_path"
            )
        raise ModelNotFoundError(
            f"{files.where} has no config.json: expected a model saved by transformers"
        )
    return parse_config(data, files.where)


def _read(name: str, files: Files, which: Which) -> Vocabulary:
    config = _config(files)
    table = load_table(files, config, which)
    tokenizer = read_tokenizer(files, text_config(config).get("model_type"), which)
    return tokenizer.vocabulary(name, table)


def _found(model: str | Path, revision: str | None) -> GgufFile | Files:
    """The model's GGUF file, else where its files are: a folder, or a hub id."""
    name, folder = str(model), place_of(model)
    if (file := find_gguf(model, folder, revision)) is not None:
        return file
    if folder.is_dir():
        return folder_files(folder, name)
    mistyped = "/" not in name and closest(name, ALWAYS_NAMED)
    on_hub = isinstance(model, str) and not folder.exists() and HUB_ID.fullmatch(name)
    if on_hub and not mistyped:
        from probe.tables.hub import HubFiles

        return with_text_encoder(HubFiles(name, revision))
    if name.endswith(IN_MEMORY):
        raise ModelNotFoundError(
            f"{name!r} was a model in the memory of the process that used it: give that object "
            "again, or save it and name its folder"
        )
    raise ModelNotFoundError(
        f"no model at {name}: expected builtin, minilm, smollm2, a model folder, a GGUF file, or a "
        "hub id like org/name or org/name:file.gguf"
        f"{did_you_mean(name, [*ALWAYS_NAMED, *_folders_beside(folder)])}"
    )


def _folders_beside(folder: Path) -> list[str]:
    """The model folders where this one was looked for."""
    try:
        return [str(path.parent) for path in folder.parent.glob("*/config.json")]
    except OSError:
        return []
