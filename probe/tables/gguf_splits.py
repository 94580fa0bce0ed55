"""How byte-level tokenizers cut text before merging, by the name that a GGUF file gives.

The patterns are those of the models' own `tokenizer.json` files.
"""

from __future__ import annotations

from typing import Any

BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}
_BYTES = BYTE_LEVEL | {"use_regex": False}
_DIGITS = {"type": "Digits", "individual_digits": True}

_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_OTHERS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LEAD = r"[^\r\n\p{L}\p{N}]?"
_OTHERS_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"

_LLAMA3 = rf"{_CONTRACTION}|{_LETTERS}|\p{{N}}{{1,3}}|{_OTHERS}|{_SPACES}"
_QWEN2 = rf"{_CONTRACTION}|{_LETTERS}|\p{{N}}|{_OTHERS}|{_SPACES}"
_QWEN35 = (
    rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
    rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
)
_TEKKEN = rf"{_LEAD}{_UPPER}*{_LOWER}+|{_LEAD}{_UPPER}+{_LOWER}*|\p{{N}}|{_OTHERS_SLASH}|{_SPACES}"
_GPT4O = (
    rf"{_LEAD}{_UPPER}*{_LOWER}+{_CONTRACTION}?|{_LEAD}{_UPPER}+{_LOWER}*{_CONTRACTION}?"
    rf"|\p{{N}}{{1,3}}|{_OTHERS_SLASH}|{_SPACES}"
)
_BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"

_PATTERNS: dict[str, str] = {
    **dict.fromkeys(
        [
            "llama3",
            "llama-v3",
            "llama-bpe",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
            "dbrx",
            "smaug-bpe",
            "chatglm-bpe",
        ],
        _LLAMA3,
    ),
    **dict.fromkeys(
        ["qwen2", "stablelm2", "deepseek-r1-qwen", "kormo", "megrez", "hunyuan", "grok-2"], _QWEN2
    ),
    "qwen35": _QWEN35,
    "tekken": _TEKKEN,
    **dict.fromkeys(["gpt-4o", "llama4", "kanana2", "minimax-m2"], _GPT4O),
    **dict.fromkeys(["bloom", "poro-chat", "gpt3-finnish"], _BLOOM),
}
_DIGITS_APART = frozenset(
    ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"]
)
IGNORES_MERGES = frozenset(
    ["llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral", "midm-2.0", "lfm2"]
)
"""A word that is a token stays whole; such models put a `bos` token first unless they say not."""
NORMALIZES = frozenset(["qwen2", "qwen35", "deepseek-r1-qwen", "kormo", "megrez"])
"""Text is brought to Unicode's form NFC first."""


def pre_tokenizer(kind: str) -> dict[str, Any]:
    """What cuts text before merging; names that are not known cut as GPT-2 does."""
    if kind in _DIGITS_APART:
        return {"type": "Sequence", "pretokenizers": [_DIGITS, BYTE_LEVEL]}
    if kind not in _PATTERNS:
        return BYTE_LEVEL
    split = {
        "type": "Split",
        "pattern": {"Regex": _PATTERNS[kind]},
        "behavior": "Isolated",
        "invert": False,
    }
    return {"type": "Sequence", "pretokenizers": [split, _BYTES]}
