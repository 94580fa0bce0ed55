"""Every language model architecture that transformers lists, and a tiny random model of each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)
from transformers.utils import logging

from tests.models.conftest import word_tokenizer
from tests.models.tiny_configs import tiny_config


@dataclass(frozen=True)
class Architecture:
    """One entry of transformers' lists of language models."""

    kind: str
    model_type: str

    @property
    def automatic(self) -> Any:
        """The class that builds and loads it."""
        return getattr(transformers, _AUTOMATIC[self.kind][1])

    def __str__(self) -> str:
        return f"{self.model_type} ({self.kind})"


_AUTOMATIC = {
    "causal": (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, "AutoModelForCausalLM"),
    "encoder–decoder": (MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES, "AutoModelForSeq2SeqLM"),
    "masked": (MODEL_FOR_MASKED_LM_MAPPING_NAMES, "AutoModelForMaskedLM"),
}
ARCHITECTURES = [
    Architecture(kind, model_type)
    for kind, (names, _) in _AUTOMATIC.items()
    for model_type, name in names.items()
    # BART and others stand among the masked ones with the class they have as encoder–decoders.
    if kind != "masked" or MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.get(model_type) != name
]
_TEXT_WITH_SOUND = "its encoder needs sound beside the text"
_WRITES_SOUND = "it writes sound, and the configuration of its list is of a larger model"
NOT_BUILT = {
    "blt (causal)": "transformers makes it no cache from its own configuration",
    "dbrx (causal)": "transformers looks for the angle of its rotations in another part of its "
    "configuration",
    "emu3 (causal)": "transformers saves the text part under a type it does not load",
    "gemma3n (causal)": "its pictures need timm, which is not installed",
    "gemma4_assistant (causal)": "it reads the states of another model",
    "gemma4_unified_assistant (causal)": "it reads the states of another model",
    "mllama (causal)": "transformers saves the text part under a type it does not load",
    "musicgen (causal)": _WRITES_SOUND,
    "musicgen_melody (causal)": _WRITES_SOUND,
    "nemo_speechlm (encoder–decoder)": _TEXT_WITH_SOUND,
    "vibevoice_asr (encoder–decoder)": _TEXT_WITH_SOUND,
    "voxtral_realtime (encoder–decoder)": _TEXT_WITH_SOUND,
}
"""Architectures that no tiny random model is made of, and why."""


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings about sizes that only tiny models have."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def build(architecture: Architecture, folder: Path) -> Any:
    """Save a random model with a tokenizer, and load it as transformers does."""
    torch.manual_seed(0)
    config = tiny_config(architecture.model_type)
    for name in ("is_decoder", "causal"):
        if architecture.kind == "causal" and hasattr(config, name):
            setattr(config, name, True)
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = 2
    model = architecture.automatic.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():  # far from a start that hides most mistakes
            noise = torch.randn_like(weight)
            weight.copy_(0.25 * noise if weight.ndim > 1 else weight + 0.1 * noise)
    model.save_pretrained(folder)
    around = ("<bos>", "<eos>") if architecture.kind == "masked" else ("", "")
    word_tokenizer(*around).save_pretrained(folder)
    return architecture.automatic.from_pretrained(folder).eval()
