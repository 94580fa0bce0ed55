"""A GGUF file's vocabulary, facts and tokenizer, without building the model."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.arrays import ByteArray
from probe.errors import ModelNotFoundError
from probe.notes import note
from probe.tables.architectures import Which, no_stacks
from probe.tables.cache import cache_folder, drop_unused, write_aside
from probe.tables.codec import TokenizersCodec
from probe.tables.embedding_layers import Float32Products, by_root_of_width
from probe.tables.facts import ModelFacts
from probe.tables.files import map_bytes
from probe.tables.gguf_builders import BUILDERS
from probe.tables.gguf_files import TABLE, GgufFile, GgufPart, part_with, read_first
from probe.tables.gguf_header import GgufHeader, GgufTensor
from probe.tables.gguf_splits import is_known
from probe.tables.gguf_tokens import GgufTokens, read_tokens
from probe.tables.span import STORED_AS, Span, Table, damaged
from probe.tables.tokenizers_on_disk import NO_TOKENIZER, TokenizerFiles
from probe.vocabulary import TableDtype, Vocabulary

_PLAIN: Mapping[int, TableDtype] = {0: "F32", 1: "F16", 28: "F64", 30: "BF16"}
"""ggml's numbers of the types that need no undoing."""
_UNDONE_VALUES = 1 << 24
"""Numbers that are undone at once."""

Parts = Iterator[NDArray[Any]]


def table_tensor(part: GgufPart) -> GgufTensor:
    """Where the input table lies in the file that is to hold it.

    Raises:
        ModelNotFoundError: it holds none.
    """
    if (tensor := part.header.tensors.get(TABLE)) is None:
        raise ModelNotFoundError(
            f"{part.files.where}: {part.name} holds no {TABLE}: expected a language model's "
            "weights, not an adapter or a projector"
        )
    return tensor


def load_gguf_table(part: GgufPart) -> Table:
    """The input table [V, H]: mapped where it is stored as floats, else undone into float32.

    Raises:
        ModelNotFoundError: the file holds no table, or one that cannot be undone.
    """
    files, name = part.files, part.name
    tensor = table_tensor(part)
    if len(tensor.shape) != 2:
        raise damaged(files.where, name, f"the table's shape {tensor.shape}, not [V, H]")
    shape = tensor.shape[0], tensor.shape[1]
    if tensor.kind in _PLAIN:
        return Span(name, tensor.start, shape, _PLAIN[tensor.kind]).load(files)
    if tensor.stop is None:
        raise _cannot_undo(f"{files.where}: {name}", f"ggml type {tensor.kind}")
    raw = files.map(name, tensor.start, tensor.stop).reshape(shape[0], -1)
    layout = f"{tensor.kind} {shape[1]}"
    parts = _undone(raw, tensor.kind, shape, f"{files.where}: {name}")
    return Table(_kept_table(raw, layout, shape, parts), "F32")


def _kept_table(
    raw: ByteArray, layout: str, shape: tuple[int, int], parts: Callable[[], Parts]
) -> NDArray[Any]:
    """The float table from the cache, under the digest of its blocks, put there if need be."""
    digest = hashlib.sha256(f"{layout} ".encode())
    digest.update(raw.data)
    path = cache_folder() / "gguf" / f"{digest.hexdigest()}.f32"
    size = 4 * shape[0] * shape[1]
    try:
        if not (path.is_file() and path.stat().st_size == size):
            write_aside(path, lambda file: [file.write(part.data) for part in parts()])
            drop_unused(path.parent, path)
        else:
            os.utime(path)
        values = map_bytes(path, 0, size)
    except OSError:  # a full or read-only disk: the table is made anew each time
        values = np.concatenate([*parts()]).view(np.uint8)
    return values.view(STORED_AS["F32"]).reshape(shape)


def _undone(raw: ByteArray, kind: int, shape: tuple[int, int], where: str) -> Callable[[], Parts]:
    """What makes the table of its blocks, in parts of whole rows, float32 [n, H]."""
    step = max(1, _UNDONE_VALUES // shape[1])

    def parts() -> Parts:
        from gguf import GGMLQuantizationType, dequantize

        known = GGMLQuantizationType(kind)
        for at in range(0, shape[0], step):
            with np.errstate(all="ignore"):  # damaged scales give inf or NaN: searches refuse them
                try:
                    made = dequantize(raw[at : at + step], known)
                except NotImplementedError as error:
                    raise _cannot_undo(where, known.name) from error
            yield np.ascontiguousarray(made, STORED_AS["F32"])

    return parts


def _cannot_undo(where: str, kind: str) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"{where} stores its table as {kind}, which the gguf package does not undo: use a file of "
        "another quantisation, such as Q8_0, Q4_K_M or F16"
    )


_TWO_STACKS = ("t5",)
_SCALED = re.compile("gemma")
"""Architectures whose embedding layer multiplies its rows by the root of their width;
RecurrentGemma multiplies behind it."""


def load_gguf_vocabulary(name: str, found: GgufFile, which: Which) -> Vocabulary:
    """The tokens and the embedding table of a GGUF file; stacks share the one that there is.

    Raises:
        ModelNotFoundError: the file is damaged, or holds no table that can be read.
    """
    first = read_first(found)
    header = first.header
    if which != "input" and header.architecture not in _TWO_STACKS:
        raise no_stacks(found.files.where, which)
    table = load_gguf_table(part_with(first, TABLE))
    tokenizer = read_gguf_tokenizer(header, found.files.where)
    scaled = _SCALED.match(header.architecture)
    if scaled:  # models from GGUF files run in float32
        table = replace(table, factor=by_root_of_width(table.values.shape[1]).at("F32"))
        rounds = table.dtype in ("F16", "BF16")
        table = replace(table, layer=Float32Products(table)) if rounds else table
    return tokenizer.vocabulary(name, table)


def read_gguf_facts(name: str, found: GgufFile) -> ModelFacts:
    """What a GGUF file says of its model.

    Raises:
        ModelNotFoundError: the file is damaged.
    """
    header = read_first(found).header
    limit = header.metadata.get(f"{header.architecture}.context_length")
    causal = header.metadata.get(f"{header.architecture}.attention.causal") is not False
    return ModelFacts(
        source=name,
        writes=causal,
        positions=limit if type(limit) is int and limit > 0 else None,
        kind=None if header.architecture in _TWO_STACKS or not causal else "causal",
    )


_VERSION = 3
"""Part of a kept document's name: raise it when documents change."""


def read_gguf_tokenizer(header: GgufHeader, where: str) -> TokenizerFiles:
    """The tokenizer of a GGUF file.

    One of a kind that cannot be rebuilt names the rows and turns no text into them.

    Raises:
        ModelNotFoundError: the tokenizer's parts contradict each other.
    """
    found = read_tokens(header.metadata, where)
    if found is None:
        return NO_TOKENIZER
    if found.model not in BUILDERS:
        return _names_only(found)
    way = str(found.fields.get("pre", ""))
    if found.model == "gpt2" and not is_known(way):
        note(
            f"{where} names a way to cut text that is not known here ({way[:40]!r}): it is cut as "
            "GPT-2 cuts it, so ids of some texts, words and numbers may not be the model's own"
        )
    document, data = _kept(found, header.sha256, where)
    codec = TokenizersCodec(data, where)
    return TokenizerFiles(document, codec, hashlib.sha256(data).hexdigest(), data)


def _kept(found: GgufTokens, header: str, where: str) -> tuple[dict[str, Any], bytes]:
    """A document from the cache, put there if need be."""
    path = cache_folder() / "gguf" / f"{header}.tokenizer{_VERSION}.json"
    try:
        data = path.read_bytes()
        return json.loads(data), data
    except (OSError, ValueError):
        document = BUILDERS[found.model](found, where)
        data = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    try:
        write_aside(path, lambda file: file.write(data))
        drop_unused(path.parent, path)
    except OSError:  # a full or read-only disk: it is made anew each time
        pass
    return document, data


def _names_only(found: GgufTokens) -> TokenizerFiles:
    document = {
        "model": {"type": "WordLevel", "vocab": found.rows()},
        "added_tokens": found.added(),
    }
    names = "\0".join(found.tokens).encode("utf-8", "replace")
    return TokenizerFiles(document, None, hashlib.sha256(names).hexdigest())
