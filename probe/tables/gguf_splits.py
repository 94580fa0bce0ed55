"""How byte-level tokenizers cut text before merging, by the name that a GGUF file gives.

The patterns are those of the models' own `tokenizer.json` files, which a GGUF file only names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from probe.tables.documents import BYTE_LEVEL

_BYTES = dict(BYTE_LEVEL) | {"use_regex": False}
_DIGITS = {"type": "Digits", "individual_digits": True}


@dataclass(frozen=True)
class Way:
    """One way to cut text."""

    pre_tokenizer: Mapping[str, Any]
    keeps_words: bool = False
    """A word that is a token stays whole, whatever the merges."""
    begins: bool = False
    """A `bos` token stands before a text where the file does not say."""
    normalises: bool = False
    """Text is brought to Unicode's form NFC first."""


def way_of(name: str, architecture: str) -> Way:
    """The way of a name; files that name none are cut as their architecture's first models were.

    Names that are not known cut as GPT-2 does, see `is_known`.
    """
    if name in _NAMELESS:
        name = _BEFORE_NAMES.get(architecture, name)
    return _WAYS.get(name, _GPT2)


def is_known(name: str) -> bool:
    """Whether the way of a name is its models' own, not GPT-2's for want of a better."""
    return name in _WAYS or name in _LIKE_GPT2 or name in _NAMELESS


def _by(*patterns: str) -> Mapping[str, Any]:
    """Cut by each pattern in turn; what matches and what does not both stand alone."""
    splits = [
        {"type": "Split", "pattern": {"Regex": each}, "behavior": "Isolated", "invert": False}
        for each in patterns
    ]
    return {"type": "Sequence", "pretokenizers": [*splits, _BYTES]}


_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LEAD = r"[^\r\n\p{L}\p{N}]?"
_OTHERS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_OTHERS_OR_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_WORDS = rf"{_LEAD}{_UPPER}*{_LOWER}+", rf"{_LEAD}{_UPPER}+{_LOWER}*"

_LLAMA3 = _by(rf"{_CONTRACTION}|{_LEAD}\p{{L}}+|\p{{N}}{{1,3}}|{_OTHERS}|{_SPACES}")
_QWEN2 = _by(rf"{_CONTRACTION}|{_LEAD}\p{{L}}+|\p{{N}}|{_OTHERS}|{_SPACES}")
_QWEN35 = _by(
    rf"{_CONTRACTION}|{_LEAD}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*"
    rf"|{_SPACES}"
)
_TEKKEN = _by(rf"{_WORDS[0]}|{_WORDS[1]}|\p{{N}}|{_OTHERS_OR_SLASH}|{_SPACES}")
_GPT4O = _by(
    rf"{_WORDS[0]}{_CONTRACTION}?|{_WORDS[1]}{_CONTRACTION}?|\p{{N}}{{1,3}}|{_OTHERS_OR_SLASH}"
    rf"|{_SPACES}"
)
_BAILING = _by(rf"'(?i:[sdmt]|ll|ve|re)|{_LEAD}\p{{L}}+|\p{{N}}|{_OTHERS}|\s*[\r\n]|\s+(?!\S)|\s+")
_SEED = _by(rf"{_CONTRACTION}|{_LEAD}\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_SPACES}")
_BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
_HAN = r"[一-龥぀-ゟ゠-ヿ]+"
_DEEPSEEK3 = _by(
    r"\p{N}{1,3}",
    _HAN,
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_SPACES}",
)
_DEEPSEEK_CODER = _by(r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+", r"\p{N}")
# Letters with case, less the small ones of two scripts and the rare forms that the list leaves out.
_CASED = r"[\p{Lu}\p{Ll}\p{Lt}&&[^ա-ֈა-ჿⴀ-ⴭꞐ-ꟺꬰ-ꭨ𝐀-𝟋]]"
_DEEPSEEK_LLM = _by(
    r"[\r\n]",
    rf"\s?{_CASED}+",
    r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
    r"\s+$",
    r"[一-龥ࠀ-一가-퟿]+",
    r"\p{N}",
)
_FALCON = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Punctuation", "behavior": "Contiguous"},
        BYTE_LEVEL,
        {"type": "Digits", "individual_digits": False},
        {
            "type": "Split",
            "pattern": {"Regex": "[0-9][0-9][0-9]"},
            "behavior": "Isolated",
            "invert": False,
        },
    ],
}

_NAMELESS = ("default", "")
_LIKE_GPT2 = frozenset(
    (
        *("gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "gigachat", "a.x-4.0", "mellum"),
        *("modern-bert", "exaone4", "roberta-bpe", "granite-docling", "jina-es", "jina-de"),
        *("jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code"),
    )
)
_GPT2 = Way(BYTE_LEVEL)
_GROUPS: tuple[tuple[Way, str], ...] = (
    (
        Way(_LLAMA3, keeps_words=True, begins=True),
        "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
    ),
    (Way(_LLAMA3), "dbrx smaug-bpe glm4 chatglm-bpe"),
    (Way(_QWEN2, normalises=True), "qwen2 deepseek-r1-qwen kormo f2llmv2 megrez"),
    (Way(_QWEN2), "stablelm2 hunyuan solar-open grok-2"),
    (Way(_QWEN35, normalises=True), "qwen35"),
    (Way(_TEKKEN, keeps_words=True, begins=True), "tekken"),
    (Way(_GPT4O), "gpt-4o llama4 kanana2 talkie minimax-m2"),
    (Way(_BAILING), "bailingmoe bailingmoe2 llada-moe"),
    (Way(_SEED), "seed-coder"),
    (Way(_by(_BLOOM)), "bloom poro-chat gpt3-finnish"),
    (Way(_by(_BLOOM, r"\p{N}")), "viking"),
    (Way(_DEEPSEEK_LLM), "deepseek-llm"),
    (Way(_DEEPSEEK3), "deepseek-v3 hunyuan-dense joyai-llm hy_v4"),
    (Way(_DEEPSEEK_CODER), "deepseek-coder"),
    (Way(_FALCON), "falcon"),
    (
        Way({"type": "Sequence", "pretokenizers": [_DIGITS, BYTE_LEVEL]}),
        "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2",
    ),
)
_WAYS: Mapping[str, Way] = {name: way for way, names in _GROUPS for name in names.split()}
_BEFORE_NAMES: Mapping[str, str] = {
    "bloom": "bloom",
    "falcon": "falcon",
    "qwen2": "qwen2",
    "qwen2moe": "qwen2",
    "qwen3": "qwen2",
    "qwen3moe": "qwen2",
    "starcoder": "starcoder",
    "starcoder2": "starcoder",
    "command-r": "command-r",
    "codeshell": "codeshell",
}
