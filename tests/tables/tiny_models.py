"""Tiny random models of every family the table reader promises, from their real config classes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import transformers
from huggingface_hub import save_torch_state_dict

from probe.vocabulary import Vocabulary

Layout = Literal["safetensors", "safetensors shards", "bin", "bin shards", "legacy bin"]
V = 97
"""Rows of every tiny table; no other tensor of the models has this length."""

_LLAMA_LIKE = {
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
_BERT_LIKE = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_T5_LIKE = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}


@dataclass(frozen=True)
class TinyFamily:
    config: str
    head: str
    sizes: dict[str, Any]


FAMILIES = {
    "gpt2": TinyFamily(
        "GPT2Config",
        "GPT2LMHeadModel",
        {"n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 1, "eos_token_id": 2},
    ),
    "llama": TinyFamily("LlamaConfig", "LlamaForCausalLM", _LLAMA_LIKE),
    "mistral": TinyFamily("MistralConfig", "MistralForCausalLM", _LLAMA_LIKE),
    "qwen2": TinyFamily("Qwen2Config", "Qwen2ForCausalLM", _LLAMA_LIKE),
    "qwen3": TinyFamily("Qwen3Config", "Qwen3ForCausalLM", _LLAMA_LIKE),
    "gemma": TinyFamily("GemmaConfig", "GemmaForCausalLM", _LLAMA_LIKE),
    "gemma2": TinyFamily(
        "Gemma2Config", "Gemma2ForCausalLM", _LLAMA_LIKE | {"hidden_size": 22}
    ),  # √22 is no bfloat16 number: the layer rounds it to its weights' precision
    "opt": TinyFamily(
        "OPTConfig",
        "OPTForCausalLM",
        {
            "hidden_size": 16,
            "word_embed_proj_dim": 8,  # the table is narrower than the model, as in opt-350m
            "ffn_dim": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
    ),
    "gpt_neox": TinyFamily("GPTNeoXConfig", "GPTNeoXForCausalLM", _BERT_LIKE),
    "bloom": TinyFamily(
        "BloomConfig", "BloomForCausalLM", {"hidden_size": 16, "n_layer": 2, "n_head": 2}
    ),
    "t5": TinyFamily("T5Config", "T5ForConditionalGeneration", _T5_LIKE),
    "mt5": TinyFamily("MT5Config", "MT5ForConditionalGeneration", _T5_LIKE),
    "bart": TinyFamily(
        "BartConfig",
        "BartForConditionalGeneration",
        {
            "d_model": 16,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_ffn_dim": 24,
            "decoder_ffn_dim": 24,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
        },
    ),
    "mbart": TinyFamily(
        "MBartConfig",
        "MBartForConditionalGeneration",
        {
            "d_model": 18,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_ffn_dim": 24,
            "decoder_ffn_dim": 24,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "scale_embedding": True,
        },
    ),
    "bert": TinyFamily("BertConfig", "BertForMaskedLM", _BERT_LIKE),
    "roberta": TinyFamily("RobertaConfig", "RobertaForMaskedLM", _BERT_LIKE),
    "mpnet": TinyFamily("MPNetConfig", "MPNetForMaskedLM", _BERT_LIKE),
}


def build(family: str, *, head: bool, dtype: torch.dtype = torch.float32) -> Any:
    """A tiny model with random weights, from the base class or the head class."""
    tiny = FAMILIES[family]
    config = getattr(transformers, tiny.config)(vocab_size=V, **tiny.sizes)
    torch.manual_seed(len(family))
    model_class = getattr(transformers, tiny.head) if head else transformers.AutoModel
    model = model_class(config) if head else model_class.from_config(config)
    table = model.get_input_embeddings().weight
    torch.nn.init.normal_(table)  # some families start their padding row at zero
    return model.to(dtype)


def save(model: Any, folder: Path, layout: Layout = "safetensors") -> Path:
    """Save a model the way transformers and torch do, or did."""
    folder.mkdir(parents=True, exist_ok=True)
    if layout.startswith("safetensors"):
        model.save_pretrained(folder, max_shard_size="4KB" if "shards" in layout else "5GB")
    else:
        model.config.save_pretrained(folder)
        if layout == "bin shards":
            save_torch_state_dict(
                model.state_dict(),
                folder,
                filename_pattern="pytorch_model{suffix}.bin",
                max_shard_size="4KB",
                safe_serialization=False,
            )
        else:
            torch.save(
                model.state_dict(),
                folder / "pytorch_model.bin",
                _use_new_zipfile_serialization=layout == "bin",
            )
    names = {path.name for path in folder.iterdir()}
    assert ("shards" in layout) == any(name.endswith(".index.json") for name in names), names
    return folder


def expected(module: torch.nn.Module) -> np.ndarray:
    """An embedding module's weights as a vocabulary stores them."""
    weight = module.weight.detach()
    return (weight.view(torch.uint16) if weight.dtype == torch.bfloat16 else weight).numpy()


def assert_same(vocabulary: Vocabulary, module: torch.nn.Module) -> None:
    """The table is the module's, bit for bit and in its precision; so is what it answers to ids."""
    want = expected(module)
    assert vocabulary.table.dtype == want.dtype
    np.testing.assert_array_equal(vocabulary.table, want)
    answers = module(torch.arange(len(want))).detach().float().numpy()
    np.testing.assert_array_equal(vocabulary.rows(slice(None)), answers)


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
