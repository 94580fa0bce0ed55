"""Tiny random models around a language model, saved under the names they are published with."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.tables.tiny_models import V

TEXT = {
    "vocab_size": V,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
MROPE = {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]}}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
SIGLIP = VISION | {"model_type": "siglip_vision_model"}
PIXTRAL = VISION | {"model_type": "pixtral", "head_dim": 8}
QWEN_VISION = {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "patch_size": 8}
T5 = {"model_type": "t5", "vocab_size": V, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1}

WRAPPERS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "gemma3": (
        {"text_config": TEXT | {"model_type": "gemma3_text"}, "vision_config": SIGLIP},
        [
            (r"^model\.language_model", "language_model.model"),
            (r"^lm_head", "language_model.lm_head"),
        ],
    ),
    "llava": (
        {
            "text_config": TEXT | {"model_type": "llama"},
            "vision_config": VISION | {"model_type": "clip_vision_model"},
        },
        [
            (r"^model\.language_model", "language_model.model"),
            (r"^lm_head", "language_model.lm_head"),
        ],
    ),
    "llava_next": (
        {
            "text_config": TEXT | {"model_type": "mistral"},
            "vision_config": VISION | {"model_type": "clip_vision_model"},
        },
        [
            (r"^model\.language_model", "language_model.model"),
            (r"^lm_head", "language_model.lm_head"),
        ],
    ),
    "qwen2_vl": (
        {"text_config": TEXT | MROPE, "vision_config": QWEN_VISION},
        [(r"^model\.language_model", "model"), (r"^model\.visual", "visual")],
    ),
    "qwen2_5_vl": (
        {
            "text_config": TEXT | MROPE,
            "vision_config": QWEN_VISION | {"out_hidden_size": 16, "intermediate_size": 24},
        },
        [(r"^model\.language_model", "model"), (r"^model\.visual", "visual")],
    ),
    "mistral3": (
        {"text_config": TEXT | {"model_type": "mistral"}, "vision_config": PIXTRAL},
        [
            (r"^model\.language_model", "language_model.model"),
            (r"^lm_head", "language_model.lm_head"),
        ],
    ),
    "aya_vision": (
        {"text_config": TEXT | {"model_type": "cohere2"}, "vision_config": SIGLIP},
        [
            (r"^model\.language_model", "language_model.model"),
            (r"^lm_head", "language_model.lm_head"),
        ],
    ),
    "paligemma": (
        {"text_config": TEXT | {"model_type": "gemma2"}, "vision_config": SIGLIP},
        [
            (r"^model\.language_model", "language_model.model"),
            (r"^lm_head", "language_model.lm_head"),
        ],
    ),
    "internvl": (
        {
            "text_config": TEXT | {"model_type": "qwen2"},
            "vision_config": VISION | {"image_size": [16, 16], "patch_size": [8, 8]},
        },
        [
            (r"^model\.language_model", "language_model.model"),
            (r"^lm_head", "language_model.lm_head"),
        ],
    ),
    "idefics2": (
        {
            "text_config": TEXT | {"model_type": "mistral"},
            "vision_config": VISION,
            "perceiver_config": {"hidden_size": 16, "resampler_n_latents": 2, "resampler_depth": 1},
        },
        [],
    ),
    "idefics3": ({"text_config": TEXT | {"model_type": "llama"}, "vision_config": VISION}, []),
    "smolvlm": ({"text_config": TEXT | {"model_type": "llama"}, "vision_config": VISION}, []),
    "mllama": (
        {
            "text_config": TEXT | {"cross_attention_layers": [1]},
            "vision_config": {
                "hidden_size": 16,
                "intermediate_size": 24,
                "num_hidden_layers": 1,
                "num_global_layers": 1,
                "attention_heads": 2,
                "vision_output_dim": 16,
                "image_size": 16,
                "patch_size": 8,
                "intermediate_layers_indices": [],
            },
        },
        [
            (r"^model\.language_model", "language_model.model"),
            (r"^lm_head", "language_model.lm_head"),
        ],
    ),
    "blip-2": (
        {
            "text_config": T5,
            "vision_config": VISION,
            "qformer_config": {
                "vocab_size": 60,
                "hidden_size": 16,
                "intermediate_size": 24,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "encoder_hidden_size": 16,
            },
        },
        [],
    ),
    "qwen2_audio": (
        {
            "text_config": TEXT | {"model_type": "qwen2"},
            "audio_config": {
                "model_type": "qwen2_audio_encoder",
                "d_model": 16,
                "encoder_layers": 1,
                "encoder_attention_heads": 2,
                "encoder_ffn_dim": 24,
                "num_mel_bins": 8,
            },
        },
        [
            (r"^model\.language_model", "language_model.model"),
            (r"^lm_head", "language_model.lm_head"),
        ],
    ),
}


def build_wrapped(model_type: str) -> Any:
    """The class that generates text, or for audio the one there is."""
    fields, _ = WRAPPERS[model_type]
    config = transformers.AutoConfig.for_model(model_type, **json.loads(json.dumps(fields)))
    torch.manual_seed(0)
    automatic = transformers.AutoModelForMultimodalLM
    model = automatic.from_config(config)
    torch.nn.init.normal_(model.get_input_embeddings().weight)
    return model.eval()


def save_as_published(model: Any, model_type: str, folder: Path) -> Path:
    """Save a model's own names, rewritten to those of the hub's first checkpoints."""
    model.save_pretrained(folder, save_original_format=False)
    weights = folder / "model.safetensors"
    state = {}
    for name, values in load_file(weights).items():
        for pattern, published in WRAPPERS[model_type][1]:
            name = re.sub(pattern, published, name)
        state[name] = values
    save_file(state, weights, metadata={"format": "pt"})
    return folder
