"""Tiny models in memory, and all that a verb must leave on them as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, PromptTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

ROWS = 3


def open_causal(folder: str | Path) -> tuple[Any, Any]:
    """A model and its tokenizer, as an owner may have them: in training, hooked, with gradients."""
    model = AutoModelForCausalLM.from_pretrained(str(folder))
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    model.train()
    model.model.norm.register_forward_hook(lambda *_: None)
    first = next(model.parameters())
    first.grad = torch.ones_like(first)
    model.model.layers[0].requires_grad_(False)
    model.generation_config.max_new_tokens = 7
    return model, tokenizer


def state_of(model: Any) -> dict[str, Any]:
    """All that belongs to a model's owner."""
    return {
        "weights": {name: _digest(one) for name, one in model.state_dict().items()},
        "parameters": {
            name: (
                id(one),
                one.data_ptr(),
                one.requires_grad,
                one.dtype,
                str(one.device),
                _digest(one.grad),
            )
            for name, one in model.named_parameters()
        },
        "modules": {
            name: (id(one), type(one), one.training) for name, one in model.named_modules()
        },
        "hooks": {
            name: [list(vars(one)[kind]) for kind in vars(one) if kind.endswith("_hooks")]
            for name, one in model.named_modules()
        },
        "attributes": {name: sorted(vars(one)) for name, one in model.named_modules()},
        "config": model.config.to_dict(),
        "generation": model.generation_config.to_dict(),
    }


def _digest(tensor: torch.Tensor | None) -> str | None:
    if tensor is None:
        return None
    return hashlib.sha256(tensor.detach().flatten().view(torch.uint8).numpy().tobytes()).hexdigest()


def tuned(model: Any, rows: int = ROWS) -> PeftModel:
    """The model with a random prompt, as PEFT holds both."""
    torch.manual_seed(0)
    return get_peft_model(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=rows))
