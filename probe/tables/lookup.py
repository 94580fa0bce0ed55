"""A model's embedding table, found in its checkpoint by what that holds, and its sizes checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from probe.errors import ModelNotFoundError
from probe.tables.architectures import Family, Which, known_family, no_stacks, text_config
from probe.tables.built import BuiltTable, build_table
from probe.tables.checkpoint import Checkpoint, open_checkpoint
from probe.tables.embedding_layers import RunningLayer
from probe.tables.files import Files
from probe.tables.span import Table, find_packed, quantised
from probe.texts import counted

_IN_A_LAYER = re.compile(r"\.\d+\.")
_TABLE_LIKE = re.compile(r"emb|wte|shared|vocab|lm_head")
_ADAPTER_LIKE = re.compile(r"lora_|prompt_e|base_model\.model\.|ia3_")


def load_table(files: Files, config: Mapping[str, Any], which: Which) -> Table:
    """Find and map a model's table.

    Tensors of listed families are found by name, without torch. For the others, and for names that
    no listed family has, transformers builds the model without weights and renames the
    checkpoint's tensors as it does when it loads them. Where that finds none, the one tensor whose
    name ends as the table's does is it.

    Raises:
        ModelNotFoundError: no weights, no such table, or one that cannot be read.
    """
    check_layers(config, files)
    family = known_family(config)
    if family is None:
        built = build_table(config, which, files.where)  # before the weights are looked for
        return _read_built(open_checkpoint(files), built, config)
    if which != "input" and not family.two_stacks:
        raise no_stacks(files.where, which)
    if which == "input" and family.feeds_its_encoder_apart(text_config(config)):
        which = "encoder"
    checkpoint = open_checkpoint(files)
    name = _name_of_family(checkpoint, family, config, which)
    if name is not None:
        table = checkpoint.load(name)
        rows, width = table.values.shape
        check_table(config, rows, width, files.where)
        multiplier = family.multiplier(text_config(config), width)
        return replace(table, factor=multiplier.at(table.dtype))
    try:
        return _read_built(checkpoint, build_table(config, which, files.where), config)
    except ModelNotFoundError as error:  # the names of a listed family say it better
        raise _absent(checkpoint, family.names(which), config) from error


def _read_built(checkpoint: Checkpoint, built: BuiltTable, config: Mapping[str, Any]) -> Table:
    """By transformers' renaming, else by the end of the table's name."""
    renamed = built.on_disk(checkpoint.shards, built.names)
    ends = (_only_one(checkpoint, ending, built.shape[0]) for ending in built.endings())
    name = renamed[0] if renamed else next((found for found in ends if found is not None), None)
    if name is None:
        raise _absent(checkpoint, built.endings(), config)
    table = checkpoint.load(name)
    rows, width = table.values.shape
    if built.shape != (rows, width):
        said = f"{counted(built.shape[0], 'token')} and a width of {built.shape[1]}"
        raise of_another_size(said, rows, width, checkpoint.files.where)
    if built.multiplier is not None:
        return replace(table, factor=built.multiplier.at(table.dtype))
    others = _others(checkpoint, built, config)
    return replace(table, layer=RunningLayer(built.layer, table, others))


def _others(
    checkpoint: Checkpoint, built: BuiltTable, config: Mapping[str, Any]
) -> dict[str, Table]:
    """The parameters that an embedding layer has beside its table."""
    parameters = dict(built.layer.named_parameters())
    found = {}
    for name, own in built.others.items():
        stored = built.on_disk(checkpoint.shards, own)
        if not stored:
            raise _absent(checkpoint, own, config)
        found[name] = checkpoint.load(stored[0], axes=parameters[name].ndim)
    return found


def _name_of_family(
    checkpoint: Checkpoint, family: Family, config: Mapping[str, Any], which: Which
) -> str | None:
    """By the family's own names, then, within a larger model, by their ends."""
    named = next((name for name in family.names(which) if name in checkpoint.shards), None)
    if named is not None:
        return named
    rows = text_config(config).get("vocab_size")
    ends = (_only_one(checkpoint, ending, rows) for ending in family.bare_names(which))
    return next((found for found in ends if found is not None), None)


def _only_one(checkpoint: Checkpoint, ending: str, rows: object) -> str | None:
    """The tensor whose name ends so; of several, the one outside the layers, with V rows."""
    found = [name for name in checkpoint.shards if f".{name}".endswith(f".{ending}")]
    if len(found) > 1:  # some models keep copies of the table in layers that predict ahead
        found = [name for name in found if not _IN_A_LAYER.search(name)] or found
    if len(found) > 1:
        found = [name for name in found if checkpoint.shape(name)[:1] == (rows,)]
    return found[0] if len(found) == 1 else None


def _absent(
    checkpoint: Checkpoint, looked_for: Sequence[str], config: Mapping[str, Any]
) -> ModelNotFoundError:
    """The error of a checkpoint without the table: what was looked for, what is there, and why."""
    where, names = checkpoint.files.where, list(checkpoint.shards)
    if (packed := find_packed(names, looked_for)) is not None:
        return quantised(where, checkpoint.listing, packed, "packed", names)
    nearest = sorted(names, key=lambda name: _TABLE_LIKE.search(name) is None)[:3]
    if any(_ADAPTER_LIKE.search(name) for name in names):
        advice = "these are an adapter's tensors, give the model it was trained on"
    else:
        advice = "check that model_type and vocab_size in config.json are those of these weights"
    return ModelNotFoundError(
        f"{where}: {checkpoint.listing} holds no embedding table of a "
        f"{config.get('model_type')} model (looked for {', '.join(looked_for[:4])}; nearest: "
        f"{', '.join(_described(checkpoint, nearest)) or 'no tensors at all'}): {advice}"
    )


def _described(checkpoint: Checkpoint, names: Iterable[str]) -> list[str]:
    """Names with their shapes, where the file that lists the names is the one that has them."""
    whole = checkpoint.listing in set(checkpoint.shards.values())
    return [f"{name[:80]} {list(checkpoint.shape(name))}" if whole else name[:80] for name in names]


_PLAUSIBLE = 512
"""Up to so many layers are never doubted."""
_LAYERS = (
    *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_encoder_layers", "depth"),
    *("encoder_layers", "decoder_layers", "num_decoder_layers"),
)
WIDTHS = ("hidden_size", "d_model", "n_embd", "embedding_size", "word_embed_proj_dim", "dim")
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
    widths = {key: text[key] for key in WIDTHS if type(text.get(key)) is int}
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
