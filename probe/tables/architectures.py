"""Where the embedding table of a family lies, by its `model_type`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from probe.errors import ModelNotFoundError
from probe.tables.embedding_layers import UNCHANGED, Multiplier, by_root_of_width

Which = Literal["input", "encoder", "decoder"]
Scaling = Literal["never", "always", "if asked", "unless declined"]
"""Whether an embedding layer multiplies its rows by the root of their width: `if asked` and `unless
declined` name what holds where the configuration leaves `scale_embedding` out."""


@dataclass(frozen=True)
class Family:
    """Names of one architecture's table, as its base class (`AutoModel`) spells them."""

    prefix: str
    """What a head class (`…ForCausalLM`) puts before the base class's names."""
    table: str
    """The tensor that `get_input_embeddings()` returns."""
    two_stacks: bool = False
    """Encoder and decoder each have a table, stored once when they share it."""
    scaling: Scaling = "never"

    def bare_names(self, which: Which) -> list[str]:
        """Tensor names to look for as the base class spells them, likeliest first.

        A T5-like file may store the shared table once, or once more per stack; the stack's own
        copy comes first when the stack was asked for.
        """
        if not self.two_stacks:
            return [self.table]
        own = {stack: f"{stack}.embed_tokens.weight" for stack in ("encoder", "decoder")}
        return [self.table, *own.values()] if which == "input" else [own[which], self.table]

    def names(self, which: Which) -> list[str]:
        """The same, with and without what a head class puts before them."""
        return [name for each in self.bare_names(which) for name in (each, f"{self.prefix}.{each}")]

    def feeds_its_encoder_apart(self, config: Mapping[str, Any]) -> bool:
        """Whether stacks have tables of their own beside the one `get_input_embeddings()` returns.

        Bart and its likes keep `shared` for nothing where words are not tied; T5's stacks read it
        all the same.
        """
        bart_like = self.two_stacks and self.prefix == "model"
        return bart_like and config.get("tie_word_embeddings") is False

    def multiplier(self, config: Mapping[str, Any], width: int) -> Multiplier:
        """What the embedding layer multiplies the rows of a table of this width by."""
        asked = config.get("scale_embedding", self.scaling == "unless declined")
        if self.scaling == "always":  # Gemma
            return by_root_of_width(width, rounded=True)
        return by_root_of_width(width) if self.scaling != "never" and asked else UNCHANGED


_GROUPS: tuple[tuple[Family, str], ...] = (
    (
        Family("model", "embed_tokens.weight"),
        "llama mistral mixtral qwen2 qwen2_moe qwen3 qwen3_moe phi phi3 stablelm starcoder2 olmo "
        "olmo2 granite cohere cohere2 smollm3 gpt_oss deepseek_v3 glm4 persimmon helium",
    ),
    (Family("model", "embed_tokens.weight", scaling="always"), "gemma gemma2 gemma3_text"),
    (Family("model", "embed_tokens.weight", scaling="unless declined"), "xglm"),
    (Family("transformer", "wte.weight"), "gpt2 gptj gpt_neo gpt_bigcode codegen mpt"),
    (Family("transformer", "word_embeddings.weight"), "bloom falcon"),
    (Family("gpt_neox", "embed_in.weight"), "gpt_neox"),
    # OPT's table may be narrower than its hidden size (word_embed_proj_dim); prompts live in it.
    (Family("model", "decoder.embed_tokens.weight"), "opt"),
    (Family("transformer", "shared.weight", two_stacks=True), "t5 mt5 umt5 longt5"),
    (Family("model", "shared.weight", two_stacks=True, scaling="if asked"), "bart mbart"),
    # These scale behind their embedding layer, where no prompt is fed in.
    (Family("model", "shared.weight", two_stacks=True), "pegasus marian"),
    (Family("bert", "embeddings.word_embeddings.weight"), "bert"),
    (Family("roberta", "embeddings.word_embeddings.weight"), "roberta xlm-roberta camembert"),
    (Family("mpnet", "embeddings.word_embeddings.weight"), "mpnet"),
    (Family("distilbert", "embeddings.word_embeddings.weight"), "distilbert"),
    (Family("albert", "embeddings.word_embeddings.weight"), "albert"),
    (Family("electra", "embeddings.word_embeddings.weight"), "electra"),
    (Family("deberta", "embeddings.word_embeddings.weight"), "deberta deberta-v2"),
    (Family("model", "embeddings.tok_embeddings.weight"), "modernbert"),
    (Family("clip", "embeddings.token_embedding.weight"), "clip_text_model"),
)
FAMILIES: Mapping[str, Family] = {
    model_type: family for family, model_types in _GROUPS for model_type in model_types.split()
}


_TEXT_PARTS = ("text_config", "llm_config", "language_config", "thinker_config", "text_encoder")


def text_parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A configuration, and within it those ever closer to the language model's own."""
    yield config
    parts = (config.get(part) for part in _TEXT_PARTS)
    within = next((part for part in parts if isinstance(part, dict) and part), None)
    if within is not None:
        yield from text_parts(within)


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a configuration that describes the language model within a larger one."""
    *_, innermost = text_parts(config)
    return innermost


def no_stacks(where: str, which: Which) -> ModelNotFoundError:
    """The error of a stack's table asked of a model without stacks."""
    return ModelNotFoundError(
        f"{where} is not an encoder–decoder model, so it has no {which} table: "
        "ask for which='input'"
    )


def require_which(which: str) -> None:
    """Refuse a table that no model has.

    Raises:
        ModelNotFoundError: it is none of the input's, the encoder's and the decoder's.
    """
    if which not in get_args(Which):
        raise ModelNotFoundError(f"which must be one of {get_args(Which)}, found {which!r}")


def known_family(config: Mapping[str, Any]) -> Family | None:
    """The family of a model, or of the language model within it; None where it is not listed."""
    for part in (config, text_config(config)):
        model_type = part.get("model_type")
        if isinstance(model_type, str) and model_type in FAMILIES:
            return FAMILIES[model_type]
    return None
