"""The shapes of `builtin` and of the two smaller models of the size study."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Literal, get_args

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from recipes.builtin.data import WINDOW

Size = Literal["tiny", "small", "medium", "full"]
SIZES = get_args(Size)
_SHAPES: dict[Size, tuple[int, int, int, int]] = {
    # width, layers, heads, feed-forward width; parameters with 16,384 tokens
    "tiny": (32, 2, 2, 64),  # for tests
    "small": (128, 4, 2, 336),  # 2.9M
    "medium": (192, 5, 3, 512),  # 5.4M
    "full": (320, 6, 5, 832),  # 12.5M
}


def new_model(size: Size, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama model with random weights from torch's generator and tied embeddings."""
    width, layers, heads, feed_forward = _SHAPES[size]
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=feed_forward,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=4 * WINDOW,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def from_folder(folder: Path, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Existing weights in float32, to go on from.

    Raises:
        ValueError: they belong to another vocabulary.
    """
    theirs = PreTrainedTokenizerFast.from_pretrained(folder, trust_remote_code=False)
    if theirs.get_vocab() != tokenizer.get_vocab():
        raise ValueError(
            f"the tokens were made with another tokenizer than {folder} has: "
            "prepare them with its own"
        )
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False)


def save_half(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a transformers folder with float16 weights."""
    copy.deepcopy(model).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
