"""A configuration's sizes held against the weights, before anything is built from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from probe.errors import ModelNotFoundError
from probe.tables.architectures import text_config
from probe.tables.checkpoint import open_checkpoint
from probe.tables.files import Files
from probe.texts import counted

_PLAUSIBLE = 512
"""Up to so many layers are never doubted."""
_LAYERS = (
    *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_encoder_layers", "depth"),
    *("encoder_layers", "decoder_layers", "num_decoder_layers"),
)
_WIDTHS = ("hidden_size", "d_model", "n_embd", "embedding_size", "word_embed_proj_dim", "dim")
"""How listed families call H; one that names two reads tokens in the second."""
_DIMENSIONS = (
    *("hidden_size", "intermediate_size", "moe_intermediate_size", "ffn_hidden_size", "ffn_dim"),
    *("encoder_ffn_dim", "decoder_ffn_dim", "d_model", "d_ff", "d_kv", "n_embd", "n_inner"),
    *("head_dim", "num_attention_heads", "num_key_value_heads"),
)
_WIDEST = 1 << 16
"""Up to so wide a layer is never doubted."""
_PACKED = 8
"""Most numbers that a quantised checkpoint packs into one."""
_NESTED = 4


def check_layers(config: Mapping[str, Any], files: Files) -> None:
    """Refuse a model of far more layers than its weights have tensors.

    The weights are opened only where a number is beyond what models have.

    Raises:
        ModelNotFoundError: the configuration cannot be that of these weights.
    """
    for key, count in _stated(config, _LAYERS):
        if count < 0:
            raise ModelNotFoundError(
                f"{files.where}: config.json says {key} = {count}, expected a number of layers: "
                "fetch config.json again"
            )
        if count > _PLAUSIBLE and count > (tensors := len(open_checkpoint(files).shards)):
            raise ModelNotFoundError(
                f"{files.where}: config.json says {key} = {count}, but the weights have {tensors} "
                "tensors: fetch config.json again, it is not that of these weights"
            )


def check_dimensions(config: Mapping[str, Any], files: Files) -> None:
    """Refuse a model far wider than its weights, before building makes room for it.

    Raises:
        ModelNotFoundError: the configuration cannot be that of these weights.
    """
    doubted = [pair for pair in _stated(config, _DIMENSIONS) if pair[1] > _WIDEST]
    if not doubted:
        return
    checkpoint = open_checkpoint(files)
    widest = max((max(checkpoint.shape(name), default=0) for name in checkpoint.shards), default=0)
    for key, size in doubted:
        if size > widest * _PACKED:
            raise ModelNotFoundError(
                f"{files.where}: config.json says {key} = {size}, but no tensor of the weights is "
                f"wider than {widest}: fetch config.json again, it is not that of these weights"
            )


def check_table(config: Mapping[str, Any], rows: int, width: int, where: str) -> None:
    """Refuse a listed family's table [V, H] that is not of the size its configuration states.

    Raises:
        ModelNotFoundError: fewer rows than tokens, or rows of another width.
    """
    text = text_config(config)
    tokens = text.get("vocab_size")
    if type(tokens) is int and tokens > rows:
        raise of_another_size(f"vocab_size = {tokens}", rows, width, where)
    widths = {key: text[key] for key in _WIDTHS if type(text.get(key)) is int}
    if widths and width not in widths.values():
        said = ", ".join(f"{key} = {value}" for key, value in widths.items())
        raise of_another_size(said, rows, width, where)


def of_another_size(said: str, rows: int, width: int, where: str) -> ModelNotFoundError:
    """The error of a configuration and a table [V, H] of different models."""
    return ModelNotFoundError(
        f"{where}: config.json says {said}, but the embedding table has {counted(rows, 'row')} of "
        f"{width} numbers: fetch config.json and the weights again, they do not belong together"
    )


def _stated(
    config: Mapping[str, Any], keys: tuple[str, ...], depth: int = 0
) -> Iterator[tuple[str, int]]:
    for key, value in config.items():
        if key in keys and type(value) is int:
            yield key, value
        elif isinstance(value, dict) and depth < _NESTED:
            yield from _stated(value, keys, depth + 1)
