"""Tiny random models of every architecture, with a tokenizer of whole words."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from probe.models.causal import CausalModel

VOCABULARY = 64
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2", {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}),
    "llama": ("Llama", {"num_key_value_heads": 2}),
    "mistral": ("Mistral", {"num_key_value_heads": 2, "sliding_window": None}),
    "mistral-window": ("Mistral", {"num_key_value_heads": 2, "sliding_window": 5}),
    "qwen2": ("Qwen2", {"num_key_value_heads": 2}),
    "qwen2-window": (
        "Qwen2",
        {
            "num_key_value_heads": 2,
            "use_sliding_window": True,
            "sliding_window": 4,
            "max_window_layers": 1,
        },
    ),
    "qwen3": ("Qwen3", {"num_key_value_heads": 1, "head_dim": 12}),
    "opt": ("OPT", {"ffn_dim": 48}),
    "opt-projected": ("OPT", {"ffn_dim": 48, "word_embed_proj_dim": 16}),
    "gpt_neox": ("GPTNeoX", {}),
    "gpt_neox-sequential": ("GPTNeoX", {"use_parallel_residual": False}),
    "bloom": ("Bloom", {"n_layer": 3, "n_head": 4}),
    "gemma2": ("Gemma2", {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 5}),
    "phi": ("Phi", {}),
}
PACKING = [
    "gpt2",
    "llama",
    "mistral",
    "mistral-window",
    "qwen2",
    "qwen2-window",
    "qwen3",
    "opt",
    "opt-projected",
    "gpt_neox",
    "gpt_neox-sequential",
]
PLAIN = ["bloom", "gemma2", "phi"]
WORDS = [
    "the",
    "a",
    "film",
    "book",
    "was",
    "is",
    "it",
    "great",
    "terrible",
    "very",
    "not",
    "good",
    "bad",
    "dull",
    "fine",
    "truly",
    ".",
    ",",
    "and",
    "or",
]


def word_tokenizer(before: str = "", after: str = "") -> PreTrainedTokenizerFast:
    """Whole words, with the special tokens a model reads in front of a text and behind it."""
    special = ["<unk>", "<pad>", "<bos>", "<eos>", "<mask>"]
    ids = {token: i for i, token in enumerate([*special, *WORDS])}
    ids |= {f"w{i}": i for i in range(len(ids), VOCABULARY)}
    inner = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if before or after:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{before} $A {after}".strip(),
            special_tokens=[(token, ids[token]) for token in (before, after) if token],
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        mask_token="<mask>",
    )


def raw_model(name: str, seed: int = 0) -> Any:
    """A transformers model of an architecture, random and without dropout."""
    kind, changes = CONFIGS[name]
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **changes})
    ending = "LMHeadModel" if kind == "GPT2" else "ForCausalLM"
    torch.manual_seed(seed)
    return _enlarged(getattr(transformers, f"{kind}{ending}")(config))


def _enlarged(model: Any) -> Any:
    """Weights far from the usual small start, which would hide most mistakes."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25)
    return model.eval()


def raw_encoder(name: str, *, head: bool) -> Any:
    """A bidirectional transformers model, with or without a masked-language head."""
    kind = {"bert": "Bert", "roberta": "Roberta", "mpnet": "MPNet"}[name]
    config = getattr(transformers, f"{kind}Config")(**SIZES)
    torch.manual_seed(0)
    return _enlarged(getattr(transformers, f"{kind}{'ForMaskedLM' if head else 'Model'}")(config))


def raw_t5() -> Any:
    """A tiny T5."""
    config = transformers.T5Config(
        vocab_size=VOCABULARY,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=4,
        pad_token_id=1,
        eos_token_id=3,
        decoder_start_token_id=1,
    )
    torch.manual_seed(0)
    return _enlarged(transformers.T5ForConditionalGeneration(config))


def raw_bart() -> Any:
    """A tiny BART, whose decoder counts positions by columns."""
    sizes = {"encoder_layers": 2, "decoder_layers": 3, "d_model": 32, "max_position_embeddings": 64}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    config = transformers.BartConfig(
        vocab_size=VOCABULARY,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        pad_token_id=1,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=3,
        forced_eos_token_id=None,
        scale_embedding=True,
        **sizes,
        **heads,
    )
    torch.manual_seed(0)
    return _enlarged(transformers.BartForConditionalGeneration(config))


@pytest.fixture(scope="session")
def causal() -> Callable[..., CausalModel]:
    """Frozen tiny models by name, made once each."""
    made: dict[tuple[str, bool], CausalModel] = {}

    def make(name: str, *, plain: bool = False) -> CausalModel:
        if (name, plain) not in made:
            made[name, plain] = CausalModel(name, raw_model(name), word_tokenizer(), plain=plain)
        return made[name, plain]

    return make


def random_ids(*lengths: int, seed: int = 0) -> list[tuple[int, ...]]:
    """Token ids that are not special, one sequence per length."""
    generator = torch.Generator().manual_seed(seed)
    flat = torch.randint(5, VOCABULARY, (sum(lengths),), generator=generator).tolist()
    stops = [0, *itertools.accumulate(lengths)]
    return [tuple(flat[a:b]) for a, b in itertools.pairwise(stops)]
