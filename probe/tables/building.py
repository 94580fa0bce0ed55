"""A model of transformers without its weights, from whichever class its configuration allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

_NOT_BUILT_FROM = frozenset(
    ("auto_map", "model_type", "attn_implementation", "_attn_implementation", "quantization_config")
)
"""Fields that could name code or kernels to fetch, or need a quantiser's library."""
_SUFFIXES = ("Model", "ForConditionalGeneration", "ForCausalLM")


def build_model(config: Mapping[str, Any]) -> Any:
    """Build a model on the meta device; imports torch. Code that comes with it is never run.

    Args:
        config: a `config.json`, or the part of one that describes a language model.

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
