"""What transformers leaves out of a GGUF file's configuration when it reads one."""

from __future__ import annotations

from typing import Any

from probe.tables.gguf_header import GgufHeader
from probe.tables.gguf_table import TABLE


def complete_config(config: Any, header: GgufHeader) -> None:
    """Set what the file says and transformers leaves at the defaults of its configuration class.

    Args:
        config: as transformers made it of the file.
        header: of the file.
    """

    def said(key: str) -> int | None:
        found = header.metadata.get(f"{header.architecture}.{key}")
        return found if type(found) is int and found > 0 else None

    if (table := header.tensors.get(TABLE)) is not None:
        config.vocab_size = table.shape[0]
    head, context = said("attention.key_length"), said("context_length")
    # Gemma 4 has two sizes of heads, which transformers tells apart itself.
    if head and hasattr(config, "head_dim") and not header.architecture.startswith("gemma4"):
        config.head_dim = head
    if context and hasattr(config, "n_positions"):
        config.n_positions = context
    for role in ("bos", "eos", "pad"):
        row = getattr(config, f"{role}_token_id", None)
        if isinstance(row, int) and row >= config.get_text_config().vocab_size:
            setattr(config, f"{role}_token_id", None)  # a default of another vocabulary
