"""A GGUF file as a folder that transformers loads, made once and kept by the file's digest.

transformers reads GGUF files itself, in some 20 seconds for 135M parameters, and the model it gives
cannot be saved. What it gives is therefore written beside its configuration and our tokenizer; from
then on the model is a folder like any other, memory-mapped in float32.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import gguf
import torch
import transformers
from safetensors.torch import save_model
from transformers import AutoConfig

from probe.errors import ModelNotFoundError
from probe.models.gguf_config import complete_config
from probe.models.gguf_lean import write_lean
from probe.tables.cache import cache_folder, drop_unused, write_folder_aside
from probe.tables.files import LocalFiles
from probe.tables.gguf_files import GgufFile
from probe.tables.gguf_header import GgufHeader, read_gguf_header
from probe.tables.gguf_tokenizer import read_gguf_tokenizer
from probe.tables.gguf_tokens import read_tokens

_VERSION = 1
"""Part of the folder's name: raise it when what is written changes."""
_ROLES = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def folder_of_gguf(found: GgufFile, revision: str | None) -> Path:
    """The folder made of a GGUF file, from the cache or made now.

    Args:
        found: the file; one on the hub is downloaded whole.
        revision: branch, tag or commit of a file on the hub.

    Raises:
        ModelNotFoundError: transformers cannot run the file's architecture, its tokenizer cannot
            be rebuilt, parts are missing, or the disk is too full.
    """
    file = found.path or _downloaded(found, revision)
    with file.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    folder = cache_folder("models") / f"gguf{_VERSION}-{digest}"
    if not folder.is_dir():
        header = read_gguf_header(LocalFiles(file.parent, found.files.where), file.name)
        _check_space(folder.parent, header, found.files.where)
        write_folder_aside(folder, lambda aside: _convert(file, header, found.files.where, aside))
        drop_unused(folder.parent, folder)
    os.utime(folder)
    return folder


def _downloaded(found: GgufFile, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(str(found.repo), found.name, revision=revision))


def _check_space(parent: Path, header: GgufHeader, where: str) -> None:
    """Refuse a disk without room.

    Raises:
        ModelNotFoundError: the float32 weights would not fit.
    """
    needed = 4 * sum(prod(tensor.shape) for tensor in header.tensors.values())
    there = next(folder for folder in (parent, *parent.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ModelNotFoundError(
            f"{where}: its weights take {needed / 1e9:.1f} GB in float32 and {there} has "
            f"{free / 1e9:.1f} GB free: make room, or set PROBE_HOME to another disk"
        )


def _convert(file: Path, header: GgufHeader, where: str, folder: Path) -> None:
    """Write weights, configuration and tokenizer of a GGUF file as transformers saves them."""
    tokenizer = read_gguf_tokenizer(header, where)
    if tokenizer.data is None:
        kind = str(header.metadata.get("tokenizer.ggml.model"))[:40]
        raise ModelNotFoundError(
            f"{where}: its tokenizer is of the kind {kind!r}, which cannot be rebuilt from the "
            "file: it can be decoded, but to run it use the model saved by transformers"
        )
    lean = folder / "lean.gguf"
    write_lean(file, header, where, lean)
    model = _load(lean, header, where)
    lean.unlink()
    save_model(model, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = model.config.to_dict() | {"architectures": [type(model).__name__]}
    config.pop("quantization_config", None)
    (folder / "config.json").write_text(json.dumps(config, default=str))
    (folder / "tokenizer.json").write_bytes(tokenizer.data)
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(header, where)))


def _load(file: Path, header: GgufHeader, where: str) -> Any:
    """The model as transformers reads it, in float32."""
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
        complete_config(config, header)
        kind = "AutoModelForSeq2SeqLM" if config.is_encoder_decoder else "AutoModelForCausalLM"
        automatic: Any = getattr(transformers, kind)
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
            f"{where} lacks {len(report['missing_keys'])} tensors of a {type(model).__name__} "
            f"({min(report['missing_keys'])}, …): they would be random, so the model cannot be run"
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
    """What `AutoTokenizer` needs beside `tokenizer.json`: which tokens have which role."""
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
