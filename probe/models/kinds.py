"""What a configuration describes: which kind of model, and whether its weights bear it out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)
from transformers.utils.hub import cached_file

from probe.errors import ModelNotFoundError
from probe.models.causal import CausalModel
from probe.models.encoder_decoder import EncoderDecoderModel
from probe.models.frozen import FrozenModel
from probe.models.masked import MaskedModel
from probe.models.sentence_encoder import SentenceEncoder

_SEQ_TO_SEQ = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
_WITH_HEADS = (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    _SEQ_TO_SEQ,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)
_DOUBTED = 1 << 20
"""No configuration without a number beyond this claims more memory than a machine has."""
_PARAMETERS_PER_BYTE = 64
"""Far beyond any quantised or shared layout."""
_KINDS = ("safetensors", "bin", "pt", "gguf")
_MODULES = ("Transformer", "Pooling", "Normalize")
"""Modules of a sentence encoder that are read; the last changes no cosine."""


def automatic_class(config: Any, family: type[FrozenModel]) -> Any:
    """The class of transformers that loads a model; one around a causal model is loaded whole."""
    around = family is CausalModel and _around_a_causal_model(config)
    return getattr(transformers, "AutoModelForMultimodalLM" if around else family.automatic)


def _around_a_causal_model(config: Any) -> bool:
    """Whether the model also sees or hears, and is read through the class that does."""
    whole = MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES.get(config.model_type)
    alone = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type)
    return whole is not None and (alone is None or (config.architectures or [""])[0] == whole)


def family_of(config: Any, path: str, revision: str | None) -> type[FrozenModel]:
    """The class that reads the kind of model a configuration describes.

    Raises:
        ModelNotFoundError: none that reads prompts.
    """
    modules = cached_file(
        path, "modules.json", revision=revision, _raise_exceptions_for_missing_entries=False
    )
    if modules:
        _check_modules(path, Path(modules))
        _check_pooling(path, revision)
        return SentenceEncoder
    return family_of_kind(config, path)


def family_of_kind(config: Any, where: str) -> type[FrozenModel]:
    """The same by the configuration alone, for models that are not made to embed sentences.

    Raises:
        ModelNotFoundError: none that reads prompts.
    """
    around = config.model_type in MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES
    if config.is_encoder_decoder and (config.model_type in _SEQ_TO_SEQ or not around):
        return EncoderDecoderModel
    architecture = (config.architectures or [""])[0]
    causal, masked = (
        names.get(config.model_type)
        for names in (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    )
    if causal == masked == architecture != "":  # XLM has one class for both
        return CausalModel if getattr(config, "causal", False) else MaskedModel
    if architecture == masked or architecture.endswith(("ForMaskedLM", "ForPreTraining")):
        return MaskedModel
    if causal and (not masked or architecture == causal):
        return CausalModel
    if masked:  # an encoder without a head
        return SentenceEncoder
    if _around_a_causal_model(config) and not config.get_text_config().is_encoder_decoder:
        return CausalModel
    raise ModelNotFoundError(
        f"{where} is of type {config.model_type}, which writes no text here: expected a causal, "
        "masked or encoder–decoder language model, or a sentence encoder (decode, find and map "
        "need the table only)"
    )


def require_head(found: str, kind: str, family: type[FrozenModel], where: str) -> None:
    """Refuse a model of this class and `model_type` that turns no states into words.

    Raises:
        ModelNotFoundError: it has no head that does.
    """
    heads = [names[kind] for names in _WITH_HEADS if isinstance(names.get(kind), str)]
    bare = found == MODEL_MAPPING_NAMES.get(kind)
    fits = bare if family is SentenceEncoder else found in heads or found.endswith("ForPreTraining")
    if not fits and heads:
        raise ModelNotFoundError(
            f"{where} is a {found}, which predicts no words: give a "
            f"{' or '.join(dict.fromkeys(heads))}"
        )


def _check_modules(path: str, file: Path) -> None:
    """Refuse sentence encoders that do more than average and normalise."""
    listed = json.loads(file.read_text(encoding="utf-8", errors="replace"))
    kinds = [str(dict(one).get("type")).rpartition(".")[2] for one in listed]
    if others := [kind for kind in kinds if kind not in _MODULES]:
        raise ModelNotFoundError(
            f"{path} has a {others[0]} module, which is not read here: only sentence encoders of "
            f"{', '.join(_MODULES)} can read prompts"
        )


def _check_pooling(path: str, revision: str | None) -> None:
    """Refuse sentence encoders that do not average."""
    found = cached_file(
        path,
        "1_Pooling/config.json",
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
    )
    pooling = json.loads(Path(found).read_text()) if found else {}
    if not pooling.get("pooling_mode_mean_tokens", True):
        raise ModelNotFoundError(
            f"{path} does not pool by the mean over tokens: only sentence encoders that do can "
            "read prompts"
        )


def require_borne_out(automatic: Any, config: Any, path: str) -> None:
    """Refuse a configuration of absurd numbers before room is made for its model; on disk only.

    Raises:
        ModelNotFoundError: it has far more parameters than the weights have bytes.
    """
    if not Path(path).is_dir() or all(n <= _DOUBTED for n in _numbers(config.to_dict())):
        return
    claimed, held = count_parameters(automatic, config) or 0, weight_bytes(path)
    if claimed > held * _PARAMETERS_PER_BYTE:
        raise ModelNotFoundError(
            f"{path}: config.json describes a model of {claimed:.3g} parameters, but its weights "
            f"have {held:,} bytes: fetch config.json again, it is not that of these weights"
        )


def weight_bytes(path: str) -> int:
    """What a folder's files of weights have; 0 where it is none."""
    return sum(file.stat().st_size for kind in _KINDS for file in Path(path).glob(f"*.{kind}"))


def count_parameters(automatic: Any, config: Any) -> int | None:
    """Parameters of a model, built without room for them; None of one that cannot be built so."""
    try:
        with torch.device("meta"):
            model = automatic.from_config(config, trust_remote_code=False)
    except Exception:  # whatever its class raises: loading says what else is wrong
        return None
    return int(model.num_parameters())


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _numbers(one)
    elif isinstance(value, int):
        yield value
