"""Whether this machine has room for a model's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from probe.models.kinds import count_parameters, weight_bytes
from probe.notes import note

_GROWTH = 8
"""Bytes in memory of a byte on disk, at most: four bits that become a float32."""


def note_of_memory(
    automatic: Any, config: Any, path: str, dtype: torch.dtype, *, free: int | None = None
) -> None:
    """Note that a model's weights take more memory than is free, before they are read.

    Args:
        automatic: the class of transformers that reads the model.
        config: of the model.
        path: its folder; others are not looked at, they are fetched first.
        dtype: of the weights in memory.
        free: bytes of memory that are free; None: as the system says, where it does.
    """
    free = free if free is not None else _free_bytes()
    if free is None or weight_bytes(path) * _GROWTH <= free:
        return
    if getattr(config, "quantization_config", None):
        return  # in memory as on disk
    needed = (count_parameters(automatic, config) or 0) * dtype.itemsize
    if needed > free:
        smaller = " or load it in --dtype bfloat16" if dtype == torch.float32 else ""
        note(
            f"the weights take {needed / 1e9:,.1f} GB in {str(dtype).removeprefix('torch.')}, "
            f"{free / 1e9:,.1f} GB of memory are free: the system may end this: end other "
            f"programs{smaller}"
        )


def _free_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not say it so."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if kilobytes is None else 1024 * int(kilobytes)
