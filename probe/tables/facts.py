"""What a model can do, as its small files tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from probe.live import LiveModel
from probe.tables.architectures import text_config
from probe.tables.files import Files, optional_object

_ENCODERS = ("ForMaskedLM", "ForPreTraining")
_CAUSAL = ("ForCausalLM", "GPT2LMHeadModel", "OpenAIGPTLMHeadModel", "CTRLLMHeadModel")
_OTHER_LIMIT = {
    "codegen": "n_positions",
    "ctrl": "n_positions",
    "dbrx": "max_seq_len",
    "gpt2": "n_positions",
    "gpt_bigcode": "n_positions",
    "gptj": "n_positions",
    "openai-gpt": "n_positions",
}
"""What other configurations call the most positions, by type; T5's `n_positions` is no limit."""


_IDS = "reads token ids beside their rows"
_AHEAD = "predicts a token otherwise when it sees what follows"
_SOUND = "is made to be given sound"
_NONE_READS = {
    "audioflamingo3": _SOUND,
    "cpmant": _AHEAD,
    "esmc": _IDS,
    "fsmt": _IDS,
    "musicflamingo": _SOUND,
    "neomme": _IDS,
    "perceiver": "has no table of tokens",
    "xlnet": _AHEAD,
}
"""Why no model of a type reads rows of embeddings as it reads the ids they belong to."""
_NAMELESS_TOKENIZERS = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes of transformers that know no token by its role but those that files name."""


@dataclass(frozen=True)
class ModelFacts:
    """A model that is there, and what it can do."""

    source: str | LiveModel
    """What it was asked by: a name or a place, or the model itself in memory."""
    writes: bool
    """Whether it may continue texts; encoders only label them."""
    positions: int | None
    """Most positions it can read, T; None where its configuration names no limit."""
    kind: Literal["causal", "masked"] | None = None
    """Whether its labels follow a text or stand within it; None: elsewhere, or not known."""
    reads_no_prompt: str = ""
    """Why it can read no soft prompt, where its small files tell; empty where they do not."""

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.source)


def read_facts(name: str, files: Files, config: dict[str, Any]) -> ModelFacts:
    """The facts of a model."""
    facts = facts_of(name, config, sentences=files.size("modules.json") is not None)
    return replace(facts, reads_no_prompt=_why_no_prompt(name, files, config, facts.kind))


def without_mask(name: str) -> str:
    """Why a masked language model is not used without a mask token."""
    return (
        f"the tokenizer of {name} has no mask token, with which a masked language model is asked "
        "for words: name it as mask_token in tokenizer_config.json"
    )


def without_start(name: str) -> str:
    """Why an encoder–decoder model is not used without the token that its decoder starts from."""
    return (
        f"{name} does not say which token its decoder starts from: add decoder_start_token_id to "
        "its config.json or generation_config.json"
    )


def _why_no_prompt(name: str, files: Files, config: Mapping[str, Any], kind: str | None) -> str:
    for part in (config, text_config(config)):
        if why := _why_not_its_kind(part, kind):
            return (
                f"{name} ({part.get('model_type')}) {why}, so it cannot read a soft prompt: use a "
                "causal, masked or encoder–decoder model that reads rows as it reads their tokens "
                "(docs/architectures.md lists them)"
            )
    if kind == "masked" and not _names_mask(files):
        return without_mask(name)
    return "" if _names_start(files, config) else without_start(name)


def _why_not_its_kind(config: Mapping[str, Any], kind: str | None) -> str:
    """Why no model of a configuration reads rows; empty where some do, and loading tells."""
    model_type = config.get("model_type")
    if config.get("hidden_size_per_layer_input"):  # Gemma 3n and 4
        return "embeds token ids anew in every layer"
    if model_type == "deepseek_v4" and _chooses_by_ids(config):
        return "chooses its experts by token ids"
    if model_type == "esm" and config.get("position_embedding_type") != "rotary":
        return _IDS
    if model_type == "reformer" and config.get("is_decoder"):
        return _AHEAD if "lsh" in (config.get("attn_layers") or ("lsh",)) else ""
    if model_type == "prophetnet" and kind == "causal":
        return _AHEAD
    return _NONE_READS.get(str(model_type), "")


def _chooses_by_ids(config: Mapping[str, Any]) -> bool:
    layers = config.get("mlp_layer_types")
    return bool(config.get("num_hash_layers", 3)) if layers is None else "hash_moe" in layers


def _names_mask(files: Files) -> bool:
    """Whether a mask token is named, or the tokenizer is of a class that may know its own."""
    known = optional_object(files, "tokenizer_config.json")
    if known.get("mask_token") or known.get("tokenizer_class") not in _NAMELESS_TOKENIZERS:
        return True
    return bool(optional_object(files, "special_tokens_map.json").get("mask_token"))


def _names_start(files: Files, config: Mapping[str, Any]) -> bool:
    """Whether a decoder's first token is named, or there is no decoder."""
    key = "decoder_start_token_id"
    if not config.get("is_encoder_decoder") or config.get(key) is not None:
        return True
    if optional_object(files, "generation_config.json").get(key) is not None:
        return True
    from transformers import AutoConfig  # slow, and few files leave it out

    try:
        return getattr(AutoConfig.for_model(**config), key, None) is not None
    except Exception:  # whatever a class says of strange fields, loading says it too
        return True


def facts_of(
    source: str | LiveModel, config: Mapping[str, Any], *, sentences: bool = False
) -> ModelFacts:
    """The facts that a configuration tells."""
    architectures = config.get("architectures")
    type_ = str(config.get("model_type"))
    first = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    limit = config.get("max_position_embeddings", config.get(_OTHER_LIMIT.get(type_, "")))
    encoder = first.endswith(_ENCODERS) or sentences
    return ModelFacts(
        source=source,
        writes=not encoder,
        positions=limit if isinstance(limit, int) and limit > 0 else None,
        kind=None if config.get("is_encoder_decoder") else _kind(first),
    )


def _kind(architecture: str) -> Literal["causal", "masked"] | None:
    if architecture.endswith(_CAUSAL):
        return "causal"
    return "masked" if architecture.endswith("ForMaskedLM") else None
