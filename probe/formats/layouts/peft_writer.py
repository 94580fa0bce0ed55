"""PEFT adapters of prompts: prompt tuning, P-tuning and prefix tuning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as to_safetensors

from probe.arrays import Float32Array
from probe.errors import PromptFormatError
from probe.formats.build import joined_prefix, text
from probe.formats.layouts.openprompt import JOINED_HEADS
from probe.formats.layouts.peft import CONFIG_FILE, ENCODER_DECODER, WEIGHT_FILES
from probe.formats.layouts.probe_file import card_metadata
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt
from probe.texts import as_json

_INIT_FIELDS = ("prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path")


def write(prompt: AnyPrompt, folder: Path) -> None:
    """Make a folder with an adapter that `PeftModel.from_pretrained` loads.

    Raises:
        PromptFormatError: PEFT cannot express the prompt.
    """
    _require_expressible(prompt)
    rows, config = _prefix_layout(prompt) if isinstance(prompt, KVPrefix) else _layout(prompt)
    config = {
        "base_model_name_or_path": prompt.base_model,
        "revision": prompt.revision,
        "inference_mode": True,
        **config,
    }
    data = to_safetensors(
        {"prompt_embeddings": np.ascontiguousarray(rows)}, metadata=card_metadata(prompt)
    )
    folder.mkdir()
    (folder / WEIGHT_FILES[0]).write_bytes(data)
    (folder / CONFIG_FILE).write_text(json.dumps(as_json(config), indent=2, sort_keys=True))


def _require_expressible(prompt: AnyPrompt) -> None:
    """PEFT puts every prompt in front, and in front of an encoder's first token at that."""
    family, template = text(prompt.config, "family"), text(prompt.config, "template")
    if family not in (None, "causal", "encoder_decoder"):
        raise PromptFormatError(
            f"{prompt.name!r} stands behind the first token of a {family} model, where PEFT cannot "
            "put it: convert it to npy or safetensors"
        )
    if template is not None and "{prompt:" in template:
        raise PromptFormatError(
            f"{prompt.name!r} stands inside its template {template!r}, where PEFT cannot put it: "
            "convert it to npy or safetensors"
        )


def _layout(prompt: SoftPrompt) -> tuple[Float32Array, dict[str, Any]]:
    if prompt.submodule == "decoder":
        raise PromptFormatError(
            f"{prompt.name!r} is a decoder prompt, which PEFT cannot keep without an encoder "
            "prompt: convert it to npy or safetensors"
        )
    tuned = prompt.method == "prompt_tuning"
    start = {key: prompt.config[key] for key in _INIT_FIELDS if tuned and key in prompt.config}
    return prompt.embeddings, {
        **start,
        "peft_type": "P_TUNING" if prompt.method == "p_tuning" else "PROMPT_TUNING",
        "task_type": ENCODER_DECODER if prompt.submodule == "encoder" else _task_type(prompt),
        "num_virtual_tokens": len(prompt),
        "num_transformer_submodules": 1,
        "token_dim": prompt.width,
    }


def _prefix_layout(prompt: KVPrefix) -> tuple[Float32Array, dict[str, Any]]:
    layers, heads, positions, head_dim = prompt.keys.shape
    joined = prompt.config.get("heads") == JOINED_HEADS["heads"]
    if joined or prompt.submodule == "encoder":
        what = "has its heads joined" if joined else "is an encoder's prefix"
        raise PromptFormatError(
            f"{prompt.name!r} {what}, which PEFT cannot keep: convert it to safetensors"
        )
    keys, values = prompt.keys, prompt.values
    doubled = prompt.submodule == "decoder"
    if doubled:
        keys, values = _undoubled(prompt, keys), _undoubled(prompt, values)
    return joined_prefix(keys, values), {
        "peft_type": "PREFIX_TUNING",
        "task_type": ENCODER_DECODER if doubled else _task_type(prompt),
        "num_virtual_tokens": positions,
        "num_transformer_submodules": 2 if doubled else 1,
        "num_layers": layers,
        "num_attention_heads": heads,
        "token_dim": heads * head_dim,
        "prefix_projection": False,
    }


def _undoubled(prompt: KVPrefix, layers: Float32Array) -> Float32Array:
    """File layers from which PEFT reads these decoder layers; those it never reads are zero."""
    stored = np.zeros_like(layers)
    read_layers = [2 * layer % len(layers) for layer in range(len(layers))]
    stored[read_layers] = layers
    if not np.array_equal(stored[read_layers], layers):
        raise PromptFormatError(
            f"{prompt.name!r} gives an even number of decoder layers each its own prefix, but PEFT "
            "feeds such a decoder only every second layer, twice: convert it to safetensors"
        )
    return stored


def _task_type(prompt: AnyPrompt) -> str:
    return text(prompt.config, "task_type") or "CAUSAL_LM"
