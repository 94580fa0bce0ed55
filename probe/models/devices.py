"""Devices as torch names them."""

from __future__ import annotations

import torch

from probe.errors import ModelNotFoundError


def check_device(device: str) -> None:
    """Refuse a device before anything is read.

    Raises:
        ModelNotFoundError: nothing can be computed on it.
    """
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # torch's own differ from device to device
        usable = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        usable += ["mps"] if torch.backends.mps.is_available() else []
        raise ModelNotFoundError(
            f"device must be one that PyTorch can use here, found {device!r}: choose "
            f"{' or '.join(usable)}, or install a PyTorch built for it"
        ) from error
