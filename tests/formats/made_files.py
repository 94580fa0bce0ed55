"""Files of trained prompts, made as their own libraries make them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

SHARED_PROMPTS = Path(__file__).parents[3] / "shared" / "prompts"


def torch_file(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)
    return path


def randomise(module: torch.nn.Module, seed: int) -> None:
    """Give every parameter numbers that no initialisation makes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.is_floating_point():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))


def state_of(modules: Mapping[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """The state dict of a module that holds these."""
    return dict(torch.nn.ModuleDict(modules).state_dict())
