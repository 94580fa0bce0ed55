"""A tiny configuration of any architecture, made from the fields its own class declares."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import CONFIG_MAPPING, PreTrainedConfig

from tests.models.conftest import VOCABULARY

_SIZES: tuple[tuple[re.Pattern[str], int | None], ...] = tuple(
    (re.compile(pattern), size)
    for pattern, size in {
        r"kernel|seed|type_vocab|sparse_step|_pos_emb|(pad|unk|mask)_index$": None,
        r"vocab": VOCABULARY,
        r"(max|n)_.*(position|seq|source|target|ctx)|context_length": 128,
        r"n_group|expert_group|topk_group|ngroups": 1,
        r"(key_value|kv|linear_num_key).*heads|kv_n_heads|num_kv": 2,
        r"heads?$": 4,
        r"d_kv$|d_head$|dim_head$|head_?dim$|head_size$|kv_channels": 8,
        r"index_topk|keep_window": 64,  # less would make predictions see what follows
        r"experts_per_tok|top_?k|moe_k": 2,
        r"experts?$|experts?_num": 4,
        r"layers?$|num_blocks|depth$": 2,
        r"rotary_dim": 4,
        r"rank$|state": 8,
        r"chunk_size|block_size|chunk_length|window": 8,
        r"intermediate|ffn|feed_forward|d_ff|dff|dim_ff|d_inner|mlp_dim": 48,
        r"hidden|d_model|n_embd|dim|embedding_size|emb_size|width|size": 32,
    }.items()
)
"""What whole numbers become at most, by their field's name; the first pattern found decides."""

_IDS = {"pad": 1, "bos": 2, "eos": 3, "decoder_start": 2, "mask": 4}
"""Ids of the tokenizer's special tokens; an image's and others' are ids no text here has."""

_SCALES = {"scale_embedding": True, "rescale_embeddings": True} | dict.fromkeys(
    ("embedding_multiplier", "embedding_scale", "scale_emb"), 3.0
)
"""What embedding layers may do besides looking up is asked of all that can."""

_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")

_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8}
_INDEXER = {
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 16,
    "indexer_budget": 8,
    "indexer_compress_ratio": 2,
}
_DOTS3 = dict.fromkeys(("swa_num_attention_heads", "swa_num_key_value_heads"), 4) | dict.fromkeys(
    ("swa_q_lora_rank", "swa_kv_lora_rank", "swa_qk_nope_head_dim", "swa_v_head_dim"), 8
)
_DOTS3["swa_head_dim"] = 16
_GEMMA3N = {"intermediate_size": [48] * 4}
_AXIAL = {
    "axial_pos_shape": (8, 16),
    "axial_pos_embds_dim": (16, 16),
    "attn_layers": ["local", "lsh"],
}
SPECIAL: Mapping[str, Mapping[str, Any]] = {
    "bamba": _MAMBA | {"attn_layer_indices": [1]},
    "falcon_h1": _MAMBA | {"mamba_d_ssm": 64},
    "granitemoehybrid": _MAMBA | {"layer_types": ["linear_attention", "full_attention"]},
    "mamba2": {"num_heads": 8},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}
    },
    "dots3_note": {"text_config": _DOTS3},
    "dots3_note_text": _DOTS3,
    "deepseek_v2": {"num_experts_per_tok": 2, "head_dim": 8},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "esm": {"vocab_size": VOCABULARY, "pad_token_id": 1, "mask_token_id": 4},
    "gemma3n": {"text_config": _GEMMA3N},
    "gemma3n_text": _GEMMA3N,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "ministral": {"head_dim": 8},
    "moshi": {"sliding_window": 64},  # its cache keeps what its window leaves out
    "nemotron": {"head_dim": 8, "num_key_value_heads": 2},
    "neomme": {"head_dim": 16},
    "perceiver": {"d_latents": 32, "d_model": 32, "num_self_attends_per_block": 1},
    "qwen4_exp": {"text_config": _INDEXER},
    "qwen4_exp_text": _INDEXER,
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": _AXIAL | {"hash_seed": 0},
    "xlstm": {"hidden_size": 128},
    "xmod": {"default_language": "en_XX"},
    "zamba": {
        "layers_block_type": ["linear_attention", "hybrid", "hybrid"],
        "num_hidden_layers": 3,
    },
}
"""What some classes need besides, because their own defaults do not fit each other."""


def tiny_config(model_type: str) -> PreTrainedConfig:
    """A configuration of a model of some 10,000 weights."""
    return _shrunk(CONFIG_MAPPING[model_type], SPECIAL.get(model_type, {}))


def _shrunk(kind: type[PreTrainedConfig], changes: Mapping[str, Any]) -> PreTrainedConfig:
    default = kind()
    given: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        value = vars(default).get(field.name, field.default)
        if isinstance(value, PreTrainedConfig):
            given[field.name] = _shrunk(type(value), changes.get(field.name, {}))
        elif field.name in _SCALES:
            given[field.name] = _SCALES[field.name]
        elif field.name.endswith(("token_id", "token_index")):
            given[field.name] = _IDS.get(field.name.rsplit("_token_", 1)[0], VOCABULARY - 1)
        elif type(field.default) is int:
            given[field.name] = _size(field.name, field.default, default)
    given |= _layers(default, given)
    inner = {name for name, value in vars(default).items() if isinstance(value, PreTrainedConfig)}
    return kind(**given | {name: each for name, each in changes.items() if name not in inner})


def _size(name: str, value: int, default: PreTrainedConfig) -> int:
    if "key_value_heads" in name and value == vars(default).get("num_attention_heads"):
        name = "num_attention_heads"
    found = next((size for pattern, size in _SIZES if pattern.search(name)), None)
    return value if found is None else min(value, found)


def _layers(default: PreTrainedConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """Lists with an entry per layer cut to one layer of each kind, two at least."""
    counts = [name for name in _COUNTS if name in given]
    lists = {
        field.name: value
        for field in dataclasses.fields(default)
        if isinstance(value := vars(default).get(field.name), Sequence)
        and not isinstance(value, str)
        and len(value) == vars(default).get(counts[0] if counts else "")
    }
    if not lists:
        return {}
    kinds = list(zip(*(map(str, value) for value in lists.values()), strict=True))
    first = [kinds.index(kind) for kind in dict.fromkeys(kinds)][:5]
    chosen = sorted({*first, *([0, 1] if len(first) < 2 else [])})
    return {name: [value[i] for i in chosen] for name, value in lists.items()} | dict.fromkeys(
        counts, len(chosen)
    )
