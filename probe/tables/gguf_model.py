"""A GGUF file's vocabulary, without building the model."""

from __future__ import annotations

import re

from probe.errors import ModelNotFoundError
from probe.tables.architectures import Which
from probe.tables.facts import ModelFacts
from probe.tables.gguf_files import GgufFile
from probe.tables.gguf_parts import part_with, read_first
from probe.tables.gguf_table import TABLE, load_gguf_table
from probe.tables.gguf_tokenizer import read_gguf_tokenizer
from probe.tables.multiplier import UNCHANGED, by_root_of_width
from probe.tables.tokens import describe_tokens, read_pieces
from probe.vocabulary import Vocabulary

_TWO_STACKS = ("t5",)
_SCALED = re.compile("gemma")
"""Architectures whose embedding layer multiplies its rows by the root of their width;
RecurrentGemma multiplies behind it."""


def load_gguf_vocabulary(name: str, found: GgufFile, which: Which) -> Vocabulary:
    """The tokens and the embedding table of a GGUF file.

    Args:
        name: the model as the user named it.
        found: its file.
        which: the one table there is, which the stacks of an encoder–decoder model share.

    Raises:
        ModelNotFoundError: the file is damaged, or holds no table that can be read.
    """
    first = read_first(found)
    header = first.header
    if which != "input" and header.architecture not in _TWO_STACKS:
        raise ModelNotFoundError(
            f"{found.files.where} is not an encoder–decoder model, so it has no {which} table: "
            "ask for which='input'"
        )
    table = load_gguf_table(part_with(first, TABLE))
    tokenizer = read_gguf_tokenizer(header, found.files.where)
    rows = len(table.values)
    tokens, masks = describe_tokens(read_pieces(tokenizer.document, rows), rows)
    scaled = _SCALED.match(header.architecture)
    multiplier = by_root_of_width(table.values.shape[1]) if scaled else UNCHANGED
    return Vocabulary(
        name,
        tokens,
        table.values,
        table.dtype,
        masks,
        tokenizer.codec,
        tokenizer.sha256,
        factor=multiplier.at("F32"),  # models from GGUF files run in float32
    )


def read_gguf_facts(name: str, found: GgufFile) -> ModelFacts:
    """What a GGUF file says of its model.

    Args:
        name: the model as the user named it.
        found: its file.

    Raises:
        ModelNotFoundError: the file is damaged.
    """
    header = read_first(found).header
    limit = header.metadata.get(f"{header.architecture}.context_length")
    causal = header.metadata.get(f"{header.architecture}.attention.causal") is not False
    return ModelFacts(
        name=name,
        writes=causal,
        positions=limit if type(limit) is int and limit > 0 else None,
        kind=None if header.architecture in _TWO_STACKS or not causal else "causal",
    )
