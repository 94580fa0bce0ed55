"""Devices as torch names them, and the precision in which each multiplies fastest."""

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


def on_cpu(device: str | None) -> bool:
    """Whether a device, a GPU if there is one when None, is the processor."""
    return device == "cpu" or (device is None and not torch.cuda.is_available())


def fast_dtype(device: str | None) -> str | None:
    """bfloat16 where the device multiplies it itself; None, for float32, elsewhere.

    Args:
        device: as torch names it; a GPU if there is one when None.
    """
    if on_cpu(device):
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        on_gpu = torch.cuda.is_available() and (device is None or device.startswith("cuda"))
        native = on_gpu and torch.cuda.is_bf16_supported()
    return "bfloat16" if native else None
