"""What a model's own files say of it, so that a bad request is refused before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from probe.tables.files import Files

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


@dataclass(frozen=True)
class ModelFacts:
    """A model that is there, and what it can do."""

    name: str
    writes: bool
    """Whether it may continue texts; encoders only label them."""
    positions: int | None
    """Most positions it can read, T; None where its configuration names no limit."""
    kind: Literal["causal", "masked"] | None = None
    """Whether its labels follow a text or stand within it; None: elsewhere, or not known."""


def read_facts(name: str, files: Files, config: dict[str, Any]) -> ModelFacts:
    """The facts of a model.

    Args:
        name: as the user named it.
        files: of the model.
        config: its `config.json`.
    """
    architectures = config.get("architectures")
    type_ = str(config.get("model_type"))
    first = str(architectures[0]) if isinstance(architectures, list) and architectures else ""
    limit = config.get("max_position_embeddings", config.get(_OTHER_LIMIT.get(type_, "")))
    encoder = first.endswith(_ENCODERS) or files.size("modules.json") is not None
    return ModelFacts(
        name=name,
        writes=not encoder,
        positions=limit if isinstance(limit, int) and limit > 0 else None,
        kind=None if config.get("is_encoder_decoder") else _kind(first),
    )


def _kind(architecture: str) -> Literal["causal", "masked"] | None:
    if architecture.endswith(_CAUSAL):
        return "causal"
    return "masked" if architecture.endswith("ForMaskedLM") else None
