"""Models of families that are not listed, built by transformers without weights and asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probe.errors import ModelNotFoundError, words_of
from probe.tables.architectures import Which, no_stacks, text_parts
from probe.tables.embedding_layers import Multiplier, bring_to_life, learn_multiplier

_TOKENS = re.compile(r"token|word")
"""What a table of text tokens is called, where no model says which it is."""
_NOT_BUILT_FROM = frozenset(
    ("auto_map", "model_type", "attn_implementation", "_attn_implementation", "quantization_config")
)
"""Fields that could name code or kernels to fetch, or need a quantiser's library."""
_SUFFIXES = ("Model", "ForConditionalGeneration", "ForCausalLM")


@dataclass(frozen=True)
class BuiltTable:
    """What a model on the meta device says about its embedding table."""

    model: Any
    names: tuple[str, ...]
    """The table's parameter first, then the others that are tied to it."""
    shape: tuple[int, int]
    """[V, H]."""
    layer: Any
    """The layer itself, with a few rows and without what the checkpoint holds of it."""
    multiplier: Multiplier | None
    """None where the layer does something else, so that it is to be run."""
    others: Mapping[str, tuple[str, ...]]
    """Its other parameters: names in the layer → names in the model, also of what is tied."""

    def on_disk(self, names: Iterable[str], own: Sequence[str]) -> list[str]:
        """The checkpoint's tensors that transformers would load into parameters of these names."""
        renamed = dict(_renamed(self.model, names))
        return [name for wanted in own for name, found in renamed.items() if found == wanted]

    def endings(self) -> list[str]:
        """The table's name, and what is left of it without the first parts, two at least."""
        parts = self.names[0].split(".")
        return [".".join(parts[first:]) for first in range(len(parts) - 1)]


def build_table(config: Mapping[str, Any], which: Which, where: str) -> BuiltTable:
    """Build the model without its weights and ask it; imports torch.

    Code that comes with a model is never run. A model around a language model that transformers
    does not build here (it may need further libraries) is asked through its language model alone.

    Raises:
        ModelNotFoundError: transformers builds no such model, or it has no such table.
    """
    reasons = []
    for part in text_parts(config):
        try:
            model = build_model(part)
        except Exception as error:  # transformers answers a strange config with any exception
            reasons.append(words_of(error))
            continue
        return _ask(model, which, where)
    raise ModelNotFoundError(
        f"{where} has model_type {config.get('model_type')!r}, expected one that transformers "
        f"builds without code of its own ({reasons[0]}): use a model saved by transformers"
    )


def _ask(model: Any, which: Which, where: str) -> BuiltTable:
    layer = input_layer(model) if which == "input" else stack_layer(model, which)
    if layer is None and which != "input":
        raise no_stacks(where, which)
    if layer is None:
        raise ModelNotFoundError(
            f"{where} is a {type(model).__name__}, which has no table of text tokens: "
            "use a model that reads text"
        )
    every = list(model.named_parameters(remove_duplicate=False))
    names = _names_of(layer.weight, every)
    rows, width = layer.weight.shape
    others = {part: _names_of(values, every) for part, values in layer.named_parameters()}
    del others["weight"]
    try:
        bring_to_life(model, layer)
        multiplier = learn_multiplier(layer)
    except Exception as error:
        raise ModelNotFoundError(
            f"{where}: what the embedding layer of a {type(model).__name__} does with its rows "
            f"cannot be told ({words_of(error)}): "
            "use a model whose layer looks rows up"
        ) from error
    return BuiltTable(model, names, (rows, width), layer, multiplier, others)


def _names_of(parameter: Any, every: Sequence[tuple[str, Any]]) -> tuple[str, ...]:
    return tuple(name for name, values in every if values is parameter)


def input_layer(model: Any) -> Any:
    """The layer that looks text tokens up: the model's, or that of the first part to have one."""
    from transformers import PreTrainedModel

    parts = (part for part in model.modules() if isinstance(part, PreTrainedModel))
    own = next((layer for part in parts if (layer := _lookup(part)) is not None), None)
    return _of_vocabulary_size(model) if own is None else own


def _of_vocabulary_size(model: Any) -> Any:
    """The one token table of V rows of a model whose text tower is no model itself (OWL-ViT)."""
    import torch

    rows = getattr(model.config.get_text_config(), "vocab_size", None)
    found = [
        part
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Embedding)
        and part.num_embeddings == rows
        and _TOKENS.search(name.rpartition(".")[2])
    ]
    return found[0] if len(found) == 1 else None


def stack_layer(model: Any, which: Which) -> Any:
    """The layer by which a stack of an encoder–decoder model looks tokens up; None of others."""
    if not (model.config.is_encoder_decoder or model.config.get_text_config().is_encoder_decoder):
        return None
    stack = model.get_encoder() if which == "encoder" else model.get_decoder()
    return _lookup(stack)


def _lookup(part: Any) -> Any:
    """A part's input layer where it looks rows up; None for patches of images and frames."""
    try:
        layer = part.get_input_embeddings()
    except (NotImplementedError, AttributeError):  # FSMT's stacks are no models of their own
        layer = getattr(part, "embed_tokens", None)
    weight = getattr(layer, "weight", None)
    weight = weight() if callable(weight) else weight  # torch.ao's layers make it anew
    is_matrix = weight is not None and weight.ndim == 2
    return layer if is_matrix and not hasattr(layer, "in_features") else None


def _renamed(model: Any, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """A checkpoint's names as the model's own: what transformers does when it loads them."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    mapping = get_model_conversion_mapping(model) or []
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    own, prefix = model.state_dict(), model.base_model_prefix
    for name in names:
        renamed, _ = rename_source_key(name, renamings, converters, prefix, own)
        if renamed not in own and name in own:
            renamed = name
        yield name, renamed


def build_model(config: Mapping[str, Any]) -> Any:
    """Build a model on the meta device; imports torch. Code that comes with it is never run.

    Raises:
        Exception: any; transformers' own, of the first class tried.
    """
    import torch
    from transformers import AutoConfig

    known = AutoConfig.for_model(str(config.get("model_type")), **_without(config))
    reasons = []
    for make in _makers(known, config.get("architectures")):
        try:
            with torch.device("meta"):
                return make(known)
        except Exception as error:  # whatever a class says of a configuration it cannot use
            reasons.append(error)
    raise reasons[0]


def _makers(known: Any, architectures: object) -> Iterator[Callable[[Any], Any]]:
    """The class that the configuration names, the base class, and others of the family."""
    from transformers import AutoModel

    named = architectures[0] if isinstance(architectures, list) and architectures else None
    if (own := _class_of(named)) is not None:
        yield own
    base: Any = AutoModel
    yield lambda config: base.from_config(config, trust_remote_code=False)
    family = type(known).__name__.removesuffix("Config")
    yield from (own for suffix in _SUFFIXES if (own := _class_of(family + suffix)) is not None)


def _class_of(name: object) -> Any:
    """A model class of transformers by its name; None where there is none."""
    import transformers

    found = getattr(transformers, name, None) if isinstance(name, str) else None
    is_model = isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)
    return found if is_model else None


def _without(config: Mapping[str, Any], *, kept: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields to build from, at every depth."""
    return {
        key: _without(value, kept=("model_type",)) if isinstance(value, dict) else value
        for key, value in config.items()
        if key in kept or key not in _NOT_BUILT_FROM
    }
