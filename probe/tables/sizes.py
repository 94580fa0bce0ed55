"""A configuration's sizes held against the weights, before anything is built from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from probe.errors import ModelNotFoundError
from probe.tables.architectures import text_config
from probe.tables.checkpoint import open_checkpoint
from probe.tables.files import Files

_PLAUSIBLE = 512
"""Up to so many layers are never doubted."""
_LAYERS = (
    *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_encoder_layers", "depth"),
    *("encoder_layers", "decoder_layers", "num_decoder_layers"),
)
_WIDTHS = ("hidden_size", "d_model", "n_embd", "embedding_size", "word_embed_proj_dim", "dim")
"""How listed families call H; one that names two reads tokens in the second."""
_NESTED = 4


def check_layers(config: Mapping[str, Any], files: Files) -> None:
    """Refuse a model of far more layers than its weights have tensors.

    The weights are opened only where a number is beyond what models have.

    Raises:
        ModelNotFoundError: the configuration cannot be that of these weights.
    """
    for key, count in _stated_layers(config):
        if count > _PLAUSIBLE and count > (tensors := len(open_checkpoint(files).shards)):
            raise ModelNotFoundError(
                f"{files.where}: config.json says {key} = {count}, but the weights have {tensors} "
                "tensors: fetch config.json again, it is not that of these weights"
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
        f"{where}: config.json says {said}, but the embedding table has {rows} rows of {width} "
        "numbers: fetch config.json and the weights again, they do not belong together"
    )


def _stated_layers(config: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, int]]:
    for key, value in config.items():
        if key in _LAYERS and type(value) is int:
            yield key, value
        elif isinstance(value, dict) and depth < _NESTED:
            yield from _stated_layers(value, depth + 1)
