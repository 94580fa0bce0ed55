"""Whether a model folder's weights are large enough for the model that its configuration claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from probe.errors import ModelNotFoundError

_DOUBTED = 1 << 20
"""No configuration without a number beyond this claims more memory than a machine has."""
_PARAMETERS_PER_BYTE = 64
"""Far beyond any quantised or shared layout."""
_KINDS = ("safetensors", "bin", "pt", "gguf")


def require_borne_out(automatic: Any, config: Any, path: str) -> None:
    """Refuse a configuration of absurd numbers before room is made for its model.

    Args:
        automatic: the class of transformers that would build it.
        config: which it would build.
        path: the folder; what is not on this machine is passed over.

    Raises:
        ModelNotFoundError: it has far more parameters than the weights have bytes.
    """
    if not Path(path).is_dir() or all(n <= _DOUBTED for n in _numbers(config.to_dict())):
        return
    try:
        claimed = count_parameters(automatic, config)
    except Exception:  # some cannot be built without room; loading says what else is wrong
        return
    held = sum(file.stat().st_size for kind in _KINDS for file in Path(path).glob(f"*.{kind}"))
    if claimed > held * _PARAMETERS_PER_BYTE:
        raise ModelNotFoundError(
            f"{path}: config.json describes a model of {claimed:.3g} parameters, but its weights "
            f"have {held:,} bytes: fetch config.json again, it is not that of these weights"
        )


def count_parameters(automatic: Any, config: Any) -> int:
    """Parameters of a model, which is built without room for them."""
    with torch.device("meta"):
        model = automatic.from_config(config, trust_remote_code=False)
    return int(model.num_parameters())


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _numbers(one)
    elif isinstance(value, int):
        yield value
