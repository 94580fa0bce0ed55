"""Where each family keeps its embedding table and what its layer makes of it, by `model_type`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from probe.errors import ModelNotFoundError
from probe.tables.multiplier import UNCHANGED, Multiplier, by_root_of_width, learn_multiplier

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
    learned: Multiplier | None = None
    """What the layer itself said, where the family is not a known one."""

    def names(self, which: Which) -> tuple[str, ...]:
        """Tensor names to look for, likeliest first.

        A T5-like file may store the shared table once, or once more per stack; the stack's own
        copy comes first when the stack was asked for.
        """
        bare = [self.table]
        if self.two_stacks:
            own = {stack: f"{stack}.embed_tokens.weight" for stack in ("encoder", "decoder")}
            bare = [self.table, *own.values()] if which == "input" else [own[which], self.table]
        return tuple(name for each in bare for name in (each, f"{self.prefix}.{each}"))

    def multiplier(self, config: Mapping[str, Any], width: int) -> Multiplier:
        """What the embedding layer multiplies the rows of a table of this width by."""
        if self.learned is not None:
            return self.learned
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
    (
        Family("transformer", "wte.weight"),
        "gpt2 gptj gpt_neo gpt_bigcode codegen mpt",
    ),
    (Family("transformer", "word_embeddings.weight"), "bloom falcon"),
    (Family("gpt_neox", "embed_in.weight"), "gpt_neox"),
    # OPT's table may be narrower than its hidden size (word_embed_proj_dim); prompts live in it.
    (Family("model", "decoder.embed_tokens.weight"), "opt"),
    (Family("transformer", "shared.weight", two_stacks=True), "t5 mt5 umt5 longt5"),
    (Family("model", "shared.weight", two_stacks=True, scaling="if asked"), "bart mbart"),
    # These scale behind their embedding layer, where no prompt is fed in.
    (Family("model", "shared.weight", two_stacks=True), "pegasus marian"),
    (Family("bert", "embeddings.word_embeddings.weight"), "bert"),
    (
        Family("roberta", "embeddings.word_embeddings.weight"),
        "roberta xlm-roberta camembert",
    ),
    (Family("mpnet", "embeddings.word_embeddings.weight"), "mpnet"),
    (Family("distilbert", "embeddings.word_embeddings.weight"), "distilbert"),
    (Family("albert", "embeddings.word_embeddings.weight"), "albert"),
    (Family("electra", "embeddings.word_embeddings.weight"), "electra"),
    (Family("deberta", "embeddings.word_embeddings.weight"), "deberta deberta-v2"),
    (Family("model", "embeddings.tok_embeddings.weight"), "modernbert"),
)
FAMILIES: Mapping[str, Family] = {
    model_type: family for family, model_types in _GROUPS for model_type in model_types.split()
}


def table_names(config: Mapping[str, Any], which: Which, *, where: str) -> tuple[str, ...]:
    """Tensor names under which a checkpoint may hold the table.

    Args:
        config: the model's `config.json`.
        which: the input table, or the one a stack of an encoder–decoder model reads.
        where: the model as errors name it.

    Raises:
        ModelNotFoundError: the model has no such table, or no rule finds its name.
    """
    return names_of(family_of(config, where=where), which, where=where)


def family_of(config: Mapping[str, Any], *, where: str) -> Family:
    """The family of a configuration, asked on the meta device where it is not a known one.

    Raises:
        ModelNotFoundError: transformers builds no such model.
    """
    model_type = config.get("model_type")
    family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    return _from_meta_device(config, where) if family is None else family


def names_of(family: Family, which: Which, *, where: str) -> tuple[str, ...]:
    """Tensor names under which a family's checkpoints may hold a table.

    Raises:
        ModelNotFoundError: a stack's table was asked of a model without stacks.
    """
    if which != "input" and not family.two_stacks:
        raise ModelNotFoundError(
            f"{where} is not an encoder–decoder model, so it has no {which} table: "
            "ask for which='input'"
        )
    return family.names(which)


def _from_meta_device(config: Mapping[str, Any], where: str) -> Family:
    """Build the model without its weights and ask it; imports torch, for unknown families only.

    Code that comes with a model is never run.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    try:
        fields = {k: v for k, v in config.items() if k not in ("auto_map", "model_type")}
        known = AutoConfig.for_model(str(config.get("model_type")), **fields)
        with torch.device("meta"):
            model = AutoModel.from_config(  # type: ignore[no-untyped-call]
                known, trust_remote_code=False
            )
        layer = model.get_input_embeddings()
        table = layer.weight
        every = list(model.named_parameters(remove_duplicate=False))
        learned = learn_multiplier(model, layer)
    except Exception as error:  # transformers answers a strange config with any exception
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelNotFoundError(
            f"{where} has model_type {config.get('model_type')!r}, expected one that transformers "
            f"builds without code of its own ({reason[:120]}): use a model saved by transformers"
        ) from error
    name = next(name for name, values in every if values is table)
    two_stacks = bool(getattr(known, "is_encoder_decoder", False)) and name == "shared.weight"
    return Family(model.base_model_prefix, name, two_stacks, learned=learned)
