"""Finding tensors in a state dict by the last parts of their dotted keys."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from probe.formats.content import Tensors


def ends_with(key: str, suffix: str) -> bool:
    """Whether the last dotted parts of a key are `suffix`."""
    return key == suffix or key.endswith(f".{suffix}")


def one(tensors: Tensors, suffix: str) -> NDArray[Any] | None:
    """The tensor whose key ends with `suffix`, None when there is none."""
    return next((array for key, array in tensors.items() if ends_with(key, suffix)), None)


def keys_of(tensors: Tensors, *suffixes: str) -> list[str]:
    """Every key that ends with one of the suffixes."""
    return [key for key in tensors if any(ends_with(key, suffix) for suffix in suffixes)]


def below(tensors: Tensors, module: str) -> dict[str, NDArray[Any]]:
    """The tensors of a submodule, by their keys within it.

    Args:
        tensors: a state dict.
        module: the submodule's dotted name, wherever it stands in the key.
    """
    marked = ((f".{key}".rpartition(f".{module}."), array) for key, array in tensors.items())
    return {rest: array for (_, found, rest), array in marked if found}
