"""A GGUF model as a folder that transformers loads, made once and kept by the files' digest.

transformers reads GGUF files itself, and the model it gives cannot be saved. What it gives is
therefore written beside its configuration and our tokenizer; from then on the model is a folder
like any other, memory-mapped in float32.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import gguf
import torch
import transformers
from safetensors.torch import save_model
from transformers import AutoConfig

from probe.digests import lasting_digest_of
from probe.errors import ModelNotFoundError
from probe.models.gguf_config import (
    complete_config,
    complete_rope,
    require_layers,
    require_plausible,
)
from probe.models.gguf_lean import write_lean
from probe.tables.cache import cache_folder, drop_unused, write_folder_aside
from probe.tables.gguf_files import TABLE, GgufFile, GgufPart, part_with, read_first, read_others
from probe.tables.gguf_header import GgufHeader
from probe.tables.gguf_model import read_gguf_tokenizer, table_tensor
from probe.tables.gguf_tokens import read_tokens
from probe.texts import counted

_VERSION = 1
"""Part of the folder's name: raise it when what is written changes."""
_ROLES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def folder_of_gguf(found: GgufFile) -> Path:
    """The folder made of a GGUF model, from the cache or made now.

    Args:
        found: its file or first part; those on the hub are downloaded whole.

    Raises:
        ModelNotFoundError: transformers cannot run the file's architecture, its tokenizer cannot
            be rebuilt, parts are missing, or the disk is too full.
    """
    first = read_first(found)
    parts = [first, *read_others(first)]
    where = found.files.where
    folder = cache_folder("models") / f"gguf{_VERSION}-{_digest(parts)}"
    if not folder.is_dir():
        _check_space(folder.parent, parts, where)
        write_folder_aside(folder, lambda aside: _convert(parts, where, aside))
        drop_unused(folder.parent, folder)
    os.utime(folder)
    return folder


def _digest(parts: Sequence[GgufPart]) -> str:
    """The file's sha256; of several, that of theirs."""
    found = [lasting_digest_of(part.files.whole(part.name)) for part in parts]
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def _check_space(parent: Path, parts: Sequence[GgufPart], where: str) -> None:
    """Refuse a disk without room."""
    every = [tensor for part in parts for tensor in part.header.tensors.values()]
    needed = sum(4 * prod(each.shape) + (each.stop or each.start) - each.start for each in every)
    there = next(folder for folder in (parent, *parent.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ModelNotFoundError(
            f"{where}: its weights take {needed / 1e9:.1f} GB in float32 and {there} has "
            f"{free / 1e9:.1f} GB free: make room, or set PROBE_HOME to another disk"
        )


def _convert(parts: Sequence[GgufPart], where: str, folder: Path) -> None:
    """Write weights, configuration and tokenizer of a GGUF model as transformers saves them."""
    table_tensor(part_with(parts[0], TABLE))  # a projector has none, and no tokenizer either
    header = parts[0].header
    tokenizer = read_gguf_tokenizer(header, where)
    if tokenizer.data is None:
        kind = header.metadata.get("tokenizer.ggml.model")
        found = f"its tokenizer is of the kind {str(kind)[:40]!r}, which cannot be rebuilt from the"
        raise ModelNotFoundError(
            f"{where}: {found if kind else 'it holds no tokenizer, expected one in the'} file: it "
            "can be decoded, but to run it use the model saved by transformers"
        )
    lean = folder / "lean.gguf"
    write_lean(parts, where, lean)
    model = _load(lean, parts, where)
    lean.unlink()
    save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = model.config.to_dict() | {"architectures": [type(model).__name__]}
    config.pop("quantization_config", None)
    (folder / "config.json").write_text(json.dumps(config, default=str))
    (folder / "tokenizer.json").write_bytes(tokenizer.data)
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(header, where)))


def _load(file: Path, parts: Sequence[GgufPart], where: str) -> Any:
    """The model as transformers reads it, in float32."""
    require_layers(parts, where)
    header = parts[0].header
    folder, name = str(file.parent), file.name
    with _names_mapped_once(), contextlib.redirect_stderr(io.StringIO()):  # its bar has no switch
        try:
            config = AutoConfig.from_pretrained(folder, gguf_file=name, trust_remote_code=False)
        except (ValueError, KeyError) as error:
            raise ModelNotFoundError(
                f"{where} is a GGUF file of architecture {header.architecture[:40]!r}, which "
                f"transformers {transformers.__version__} cannot run ({str(error)[:120]}): it can "
                "be decoded, but to run it use the model saved by transformers"
            ) from error
        complete_config(config, parts)
        complete_rope(config, parts, where)
        kind = "AutoModelForSeq2SeqLM" if config.is_encoder_decoder else "AutoModelForCausalLM"
        automatic: Any = getattr(transformers, kind)
        require_plausible(automatic, config, parts, where)
        model, report = automatic.from_pretrained(
            folder,
            gguf_file=name,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=False,
        )
    if report["missing_keys"]:
        raise ModelNotFoundError(
            f"{where} lacks {counted(len(report['missing_keys']), 'tensor')} of a "
            f"{type(model).__name__} ({min(report['missing_keys'])}, …): they would be random, so "
            "the model cannot be run"
        )
    return model


@contextlib.contextmanager
def _names_mapped_once() -> Iterator[None]:
    """Keep the table of tensor names, which transformers asks for once per module: seconds each."""
    made = gguf.get_tensor_name_map
    gguf.get_tensor_name_map = cache(made)
    try:
        yield
    finally:
        gguf.get_tensor_name_map = made


def _tokenizer_config(header: GgufHeader, where: str) -> dict[str, Any]:
    """What transformers needs beside `tokenizer.json`: which tokens have which role."""
    found = read_tokens(header.metadata, where)
    every = {} if found is None else {key: found.token_of(role) for key, role in _ROLES.items()}
    named = {key: token for key, token in every.items() if token is not None}
    template = header.metadata.get("tokenizer.chat_template")
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **named,
        **({"chat_template": template} if isinstance(template, str) else {}),
    }
