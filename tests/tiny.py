"""Models too small to know anything, saved as folders, and a task they can still learn."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from probe.task import Example, Task

GOOD = ["bright", "sweet", "warm", "calm", "kind", "grand"]
BAD = ["dull", "sour", "cold", "harsh", "mean", "poor"]
OTHER = ["the", "a", "film", "day", "soup", "was", "very", "it", "and", "song", "so", "quite"]
LABELS = ("yes", "no")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "</s>"]
WORDS = SPECIAL + list(LABELS) + GOOD + BAD + OTHER + [f"w{i}" for i in range(24)]


def task(examples: int = 96, *, validation: int = 32, seed: int = 0, name: str = "moods") -> Task:
    """Sentences of two to nine words; the label is the mood of their one telling word."""
    rng = random.Random(seed)
    made = [_example(rng) for _ in range(examples + validation)]
    return Task(
        name=name,
        kind="classification",
        template="{text} it was",
        label_words=LABELS,
        train=made[:examples],
        validation=made[examples:],
    )


def _example(rng: random.Random) -> Example:
    label = rng.randrange(2)
    words = rng.choices(OTHER, k=rng.randrange(1, 9))
    words.insert(rng.randrange(len(words) + 1), rng.choice((GOOD, BAD)[label]))
    return Example(" ".join(words), label=label)


def save_tokenizer(folder: Path, *, end: bool = False, encoder: bool = False) -> None:
    """One id per word; encoders get [CLS] and [SEP], encoder–decoder models an end token."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if end or encoder:
        pattern = "[CLS] $A [SEP]" if encoder else "$A </s>"
        tokenizer.post_processor = processors.TemplateProcessing(
            single=pattern, special_tokens=[(word, vocabulary[word]) for word in SPECIAL[2:]]
        )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        eos_token="</s>",
    ).save_pretrained(folder)


def save_causal(folder: Path) -> Path:
    """A Llama with grouped-query attention."""
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(WORDS),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            pad_token_id=0,
            eos_token_id=5,
            bos_token_id=None,
            initializer_range=0.3,
        )
    ).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def save_gpt2(folder: Path) -> Path:
    """A GPT-2, whose positions are learned."""
    torch.manual_seed(0)
    GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(WORDS),
            n_embd=16,
            n_layer=3,
            n_head=2,
            n_positions=64,
            bos_token_id=5,
            eos_token_id=5,
            initializer_range=0.3,
        )
    ).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def save_encoder_decoder(folder: Path, *, layers: int = 3) -> Path:
    """A T5."""
    torch.manual_seed(0)
    T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(WORDS),
            d_model=16,
            d_kv=8,
            d_ff=32,
            num_layers=layers,
            num_heads=2,
            dropout_rate=0.0,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=5,
        )
    ).save_pretrained(folder)
    save_tokenizer(folder, end=True)
    return folder


def _bert() -> BertConfig:
    return BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.3,
    )


def save_masked(folder: Path) -> Path:
    """A BERT."""
    torch.manual_seed(0)
    BertForMaskedLM(_bert()).save_pretrained(folder)
    save_tokenizer(folder, encoder=True)
    return folder


def save_sentence_encoder(folder: Path) -> Path:
    """A BERT without a head, whose states are averaged."""
    torch.manual_seed(0)
    BertModel(_bert()).save_pretrained(folder)
    save_tokenizer(folder, encoder=True)
    return folder
