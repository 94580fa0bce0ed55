"""GGUF files of tiny random models, written as llama.cpp's converter writes them.

What the converter changes about weights (heads turned for its rotary embedding, norms of Gemma
with one added, GPT-2's matrices turned, Bloom's fused heads apart) and about tokenizers (pieces of
WordPiece marked at their beginnings, bytes and special tokens marked by kind) is done here too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
TEXTS = [
    "a soft prompt is a list of vectors that a frozen model reads before the words of a text",
    "the film was bad, it's the 3rd bad film of 1984 and the worst of them all",
    "wir lesen den Text, naïve Leser lesen ihn zweimal: once, and again in 2024!",
    "  two spaces\n\nand an empty line\tand a tab; the end",
]
WIDTH = 64
LAYERS = 2


def train_byte_level(pre_tokenizer: Any = None, size: int = 400) -> Tokenizer:
    """A byte-level BPE tokenizer of the texts above, with one special token."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizer or pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet
    )
    made.train_from_iterator(TEXTS * 4, trainer)
    return made


def byte_level_fields(tokenizer: Tokenizer, rows: int, pre: str) -> dict[str, Any]:
    """The metadata of a byte-level tokenizer; rows beyond it are padding."""
    model = json.loads(tokenizer.to_str())["model"]
    tokens = [tokenizer.id_to_token(row) or f"[PAD{row}]" for row in range(rows)]
    size = tokenizer.get_vocab_size()
    kinds = [CONTROL if token == "<|endoftext|>" else NORMAL for token in tokens[:size]]
    return {
        "model": "gpt2",
        "pre": pre,
        "tokens": tokens,
        "token_type": kinds + [UNUSED] * (rows - size),
        "merges": [" ".join(pair) for pair in model["merges"]],
        "eos_token_id": 0,
        "bos_token_id": 0,
        "add_bos_token": False,
    }


def train_sentencepiece(folder: Path, kind: str, size: int = 420) -> SentencePieceProcessor:
    """A SentencePiece model of the texts above."""
    SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 4),
        model_prefix=str(folder / "spm"),
        vocab_size=size,
        model_type=kind,
        byte_fallback=kind == "bpe",
        hard_vocab_limit=False,
        normalization_rule_name="identity" if kind == "bpe" else "nmt_nfkc",
        remove_extra_whitespaces=kind != "bpe",
        unk_id=0 if kind == "bpe" else 2,
        bos_id=1 if kind == "bpe" else -1,
        eos_id=2 if kind == "bpe" else 1,
        pad_id=-1 if kind == "bpe" else 0,
        minloglevel=2,
    )
    return SentencePieceProcessor(model_file=str(folder / "spm.model"))


def sentencepiece_fields(processor: SentencePieceProcessor, rows: int) -> dict[str, Any]:
    """The metadata of a SentencePiece model; rows beyond it are padding."""
    size = processor.GetPieceSize()
    tokens = [processor.IdToPiece(row) for row in range(size)]
    return {
        "model": "llama",
        "pre": "default",
        "tokens": tokens + [f"[PAD{row}]" for row in range(size, rows)],
        "scores": [processor.GetScore(row) for row in range(size)] + [-1000.0] * (rows - size),
        "token_type": [_kind(processor, row) for row in range(size)] + [UNUSED] * (rows - size),
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 0,
    }


def _kind(processor: SentencePieceProcessor, row: int) -> int:
    if processor.IsUnknown(row):
        return UNKNOWN
    if processor.IsControl(row):
        return CONTROL
    return BYTE if processor.IsByte(row) else NORMAL


def unigram_fields(processor: SentencePieceProcessor, rows: int, model: bytes) -> dict[str, Any]:
    """The metadata of T5's tokenizer, whose sentinels are called padding."""
    charsmap = charsmap_of(model)
    fields = sentencepiece_fields(processor, rows) | {
        "model": "t5",
        "bos_token_id": None,
        "eos_token_id": 1,
        "unknown_token_id": 2,
        "padding_token_id": 0,
        "add_eos_token": True,
        "add_bos_token": False,
        "precompiled_charsmap": np.frombuffer(charsmap, np.uint8) if charsmap else None,
    }
    return {key: value for key, value in fields.items() if value is not None}


def charsmap_of(model: bytes) -> bytes:
    """The normaliser's table of a SentencePiece model."""
    from sentencepiece import sentencepiece_model_pb2 as layout

    return layout.ModelProto.FromString(model).normalizer_spec.precompiled_charsmap


def wordpiece_fields(words: Iterable[str]) -> dict[str, Any]:
    """The metadata of a WordPiece vocabulary."""
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = list(words)
    kinds = [
        UNKNOWN if word == "[UNK]" else CONTROL if word in special else NORMAL for word in words
    ]

    def turned(word: str, kind: int) -> str:
        if kind != NORMAL:
            return word
        return word[2:] if word.startswith("##") else f"▁{word}"

    return {
        "model": "bert",
        "tokens": [turned(*each) for each in zip(words, kinds, strict=True)],
        "token_type": kinds,
        "padding_token_id": 0,
        "unknown_token_id": 1,
        "bos_token_id": 2,
        "seperator_token_id": 3,
        "mask_token_id": 4,
    }


def write_gguf(
    path: Path,
    architecture: str,
    fields: Mapping[str, Any],
    metadata: Mapping[str, Any],
    tensors: Mapping[str, tuple[NDArray[Any], GGMLQuantizationType | None]],
    *,
    alignment: int | None = None,
) -> Path:
    """Write one file.

    Args:
        path: where to.
        architecture: llama.cpp's name.
        fields: metadata below `tokenizer.ggml.`.
        metadata: metadata below the architecture's name.
        tensors: values, or blocks as bytes with their type.
        alignment: of tensors' bytes; 32 if None.
    """
    writer = GGUFWriter(path, architecture)
    if alignment is not None:
        writer.add_custom_alignment(alignment)
    for key, value in metadata.items():
        _add(writer, f"{architecture}.{key}", value)
    for key, value in fields.items():
        _add(writer, f"tokenizer.ggml.{key}", value)
    for name, (values, kind) in tensors.items():
        writer.add_tensor(name, values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, np.ndarray):
        writer.add_key_value(
            key, value.tolist(), gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT8
        )
    else:
        writer.add_array(key, value)


def quantised(values: NDArray[np.float32], kind: str) -> tuple[NDArray[Any], GGMLQuantizationType]:
    """Values in one of the types that the `gguf` package writes."""
    number = GGMLQuantizationType[kind]
    return gguf.quantize(values, number), number


def tensors_of(model: Any, architecture: str, kind: str = "F32") -> dict[str, Any]:
    """A model's weights under llama.cpp's names and in its layout.

    Args:
        model: a causal language model of transformers.
        architecture: llama.cpp's name of its family.
        kind: the type of matrices; vectors stay float32.
    """
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(arch, LAYERS)
    found: dict[str, Any] = {}
    tied = model.config.tie_word_embeddings
    for name, values in model.state_dict().items():
        base = name.removeprefix("transformer.") if architecture == "bloom" else name
        target = names.get_name(base, try_suffixes=(".weight", ".bias"))
        if target is None or (tied and name == "lm_head.weight"):
            continue
        turned = _turned(name, target, values.float().numpy(), model.config, architecture)
        if turned is not None:
            wide = turned.ndim > 1 and turned.shape[-1] % 32 == 0
            found[target] = quantised(turned, kind if wide else "F32")
    return found


def _turned(
    name: str, target: str, values: NDArray[np.float32], config: Any, architecture: str
) -> NDArray[np.float32] | None:
    if architecture == "llama" and (".attn_q." in target or ".attn_k." in target):
        heads = config.num_attention_heads
        if ".attn_k." in target:
            heads = config.num_key_value_heads
        halves = values.reshape(heads, 2, len(values) // heads // 2, *values.shape[1:])
        return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)
    if architecture.startswith("gemma") and target.endswith("norm.weight"):
        return values + 1
    if "shortconv.conv" in target:
        return values[:, 0]
    if architecture == "gpt2" and values.ndim == 2 and "c_" in name:
        return np.ascontiguousarray(values.T)
    if architecture == "bloom" and "attn_qkv" in target:
        heads, size = config.n_head, config.hidden_size // config.n_head
        split = values.reshape(heads, 3, size, *values.shape[1:]).swapaxes(0, 1)
        return np.ascontiguousarray(split).reshape(values.shape)
    return values


def causal(architecture: str, rows: int, **more_settings: Any) -> tuple[Any, dict[str, Any]]:
    """A tiny random model and what its GGUF file's metadata says of it."""
    torch.manual_seed(0)
    shared: dict[str, Any] = {
        "context_length": 128,
        "embedding_length": WIDTH,
        "block_count": LAYERS,
        "feed_forward_length": 96,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
        "vocab_size": rows,
    }
    rms = {"attention.layer_norm_rms_epsilon": 1e-6, "rope.freq_base": 10_000.0}
    plain = {"attention.layer_norm_epsilon": 1e-5}
    sizes = {
        "vocab_size": rows,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 96,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    head = {"attention.key_length": 32, "attention.value_length": 32}
    kinds: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "llama": ("Llama", sizes, rms | {"rope.dimension_count": 16}),
        "qwen2": ("Qwen2", sizes, rms),
        "qwen3": ("Qwen3", sizes | {"head_dim": 32}, rms | head),
        "gemma2": (
            "Gemma2",
            sizes | {"head_dim": 32},
            rms | head | {"attention.sliding_window": 4096},
        ),
        "gemma3": (
            "Gemma3Text",
            sizes | {"head_dim": 32},
            rms | head | {"attention.sliding_window": 4096},
        ),
        "lfm2": (
            "Lfm2",
            {key: value for key, value in sizes.items() if key != "rms_norm_eps"}
            | {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}
            | {
                "norm_eps": 1e-6,
                "conv_L_cache": 3,
                "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
            },
            rms | {"attention.head_count_kv": [0, 2], "shortconv.l_cache": 3},
        ),
        "phi3": ("Phi3", sizes, rms | {"rope.dimension_count": 16}),
        "gpt2": (
            "GPT2",
            {"vocab_size": rows, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": 4}
            | {"n_positions": 128, "bos_token_id": 0, "eos_token_id": 0},
            plain | {"feed_forward_length": 256},
        ),
        "bloom": (
            "Bloom",
            {"vocab_size": rows, "hidden_size": WIDTH, "n_layer": LAYERS, "n_head": 4}
            | {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0},
            plain | {"feed_forward_length": 256},
        ),
    }
    name, settings, more = kinds[architecture]
    config = getattr(transformers, f"{name}Config")(**(settings | more_settings))
    kind = "Gemma3ForCausalLM" if architecture == "gemma3" else f"{name}ForCausalLM"
    if architecture == "gpt2":
        kind = "GPT2LMHeadModel"
    return getattr(transformers, kind)(config).eval(), shared | more


def fast(tokenizer: Tokenizer, **roles: str) -> PreTrainedTokenizerFast:
    """transformers' tokenizer around one of the library's."""
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)
