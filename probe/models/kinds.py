"""What kind of language model a configuration describes, and which class reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)
from transformers.utils.hub import cached_file

from probe.errors import ModelNotFoundError
from probe.models.rows import Family

_AUTOMATIC: dict[Family, str] = {
    "causal": "AutoModelForCausalLM",
    "encoder_decoder": "AutoModelForSeq2SeqLM",
    "masked": "AutoModelForMaskedLM",
    "sentence_encoder": "AutoModel",
}
_SEQ_TO_SEQ = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES


def automatic_class(config: Any, family: Family) -> Any:
    """The class of transformers that loads a model; one around a causal model is loaded whole."""
    around = family == "causal" and _around_a_causal_model(config)
    return getattr(transformers, "AutoModelForMultimodalLM" if around else _AUTOMATIC[family])


def _around_a_causal_model(config: Any) -> bool:
    """Whether the model also sees or hears, and is read through the class that does."""
    whole = MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES.get(config.model_type)
    alone = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type)
    return whole is not None and (alone is None or (config.architectures or [""])[0] == whole)


def family_of(config: Any, path: str, revision: str | None) -> Family:
    """What kind of model a configuration describes.

    Raises:
        ModelNotFoundError: none that reads prompts.
    """
    if cached_file(
        path, "modules.json", revision=revision, _raise_exceptions_for_missing_entries=False
    ):
        _check_pooling(path, revision)
        return "sentence_encoder"
    around = config.model_type in MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES
    if config.is_encoder_decoder and (config.model_type in _SEQ_TO_SEQ or not around):
        return "encoder_decoder"
    architecture = (config.architectures or [""])[0]
    causal, masked = (
        names.get(config.model_type)
        for names in (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    )
    if causal == masked == architecture != "":  # XLM has one class for both
        return "causal" if getattr(config, "causal", False) else "masked"
    if architecture == masked or architecture.endswith(("ForMaskedLM", "ForPreTraining")):
        return "masked"
    if causal and (not masked or architecture == causal):
        return "causal"
    if masked:  # an encoder without a head
        return "sentence_encoder"
    if _around_a_causal_model(config) and not config.get_text_config().is_encoder_decoder:
        return "causal"
    raise ModelNotFoundError(
        f"{path} is of type {config.model_type}, which writes no text here: expected a causal, "
        "masked or encoder–decoder language model, or a sentence encoder (decode, find and map "
        "need the table only)"
    )


def _check_pooling(path: str, revision: str | None) -> None:
    """Refuse sentence encoders that do not average.

    Raises:
        ModelNotFoundError: the model pools otherwise.
    """
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
