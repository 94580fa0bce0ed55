"""A GGUF file's tokenizer, as one `tokenizer.json` document; what takes long is kept."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from probe.tables.cache import cache_folder, drop_unused, write_aside
from probe.tables.codec import TokenizersCodec
from probe.tables.gguf_builders import BUILDERS
from probe.tables.gguf_header import GgufHeader
from probe.tables.gguf_tokens import GgufTokens, read_tokens
from probe.tables.tokenizers_on_disk import NO_TOKENIZER, TokenizerFiles

_VERSION = 1
"""Part of a kept document's name: raise it when documents change."""


def read_gguf_tokenizer(header: GgufHeader, where: str) -> TokenizerFiles:
    """The tokenizer of a GGUF file.

    One of a kind that cannot be rebuilt names the rows and turns no text into them.

    Args:
        header: of the file.
        where: the model as errors name it.

    Raises:
        ModelNotFoundError: the tokenizer's parts contradict each other.
    """
    found = read_tokens(header.metadata, where)
    if found is None:
        return NO_TOKENIZER
    if found.model not in BUILDERS:
        return _names_only(found)
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
        document, data = _built(found, where)
    try:
        write_aside(path, lambda file: file.write(data))
        drop_unused(path.parent, path)
    except OSError:  # a full or read-only disk: it is made anew each time
        pass
    return document, data


def _built(found: GgufTokens, where: str) -> tuple[dict[str, Any], bytes]:
    document = BUILDERS[found.model](found, where)
    return document, json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def _names_only(found: GgufTokens) -> TokenizerFiles:
    document = {
        "model": {"type": "WordLevel", "vocab": found.rows()},
        "added_tokens": found.added(),
    }
    names = "\0".join(found.tokens).encode("utf-8", "replace")
    return TokenizerFiles(document, None, hashlib.sha256(names).hexdigest())
