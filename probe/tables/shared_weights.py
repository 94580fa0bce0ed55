"""A second module on the weights of the first, which stays as it is whatever befalls the second."""

from __future__ import annotations

import copy
from typing import Any

from probe.errors import ModelNotFoundError


def copy_on_same_weights(module: Any, where: str) -> Any:
    """A copy of a module and its configuration that shares its numbers and nothing else.

    Modes, hooks, gradients and flags of the first are its own: the copy's parameters are others on
    the same memory. Quantised parameters, which have no gradients, are the same objects.

    Args:
        module: of torch; it is not touched.
        where: the model as errors name it.

    Raises:
        ModelNotFoundError: something in it cannot be copied.
    """
    import torch

    shared: dict[int, Any] = {id(buffer): buffer for buffer in module.buffers()}
    for parameter in module.parameters():
        own = type(parameter) is torch.nn.Parameter or parameter.requires_grad
        shared[id(parameter)] = (
            torch.nn.Parameter(parameter.detach(), requires_grad=False) if own else parameter
        )
    kept = list(shared.values())  # ids must not be given to others while they are looked up
    try:
        return copy.deepcopy(module, shared)
    except Exception as error:  # what hangs on a module may answer with any
        why = " ".join(str(error).split())[:160] or type(error).__name__
        raise ModelNotFoundError(
            f"{where} cannot be read beside its owner: something on it cannot be copied ({why}); "
            "save it with save_pretrained and name its folder"
        ) from error
    finally:
        del kept


def require_weights(module: Any, where: str) -> None:
    """Refuse a module that has shapes and no numbers.

    Raises:
        ModelNotFoundError: some of it is on the meta device.
    """
    if any(tensor.is_meta for tensor in module.parameters()):
        raise ModelNotFoundError(
            f"{where} is on the meta device, at least in part, which holds shapes and no numbers: "
            "load its weights first"
        )
