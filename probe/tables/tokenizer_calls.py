"""The one way into tokenizers that came from a file: whatever breaks in them is one line.

The library behind them ends a text it cannot cut (a pattern that tries too long, a damaged table)
in a panic: an error that no `except Exception` sees, after a stack on the process's own stderr.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from probe.errors import ModelNotFoundError, is_panic

_MOST_GROWTH = 256
"""Times its length that a normaliser may make of a text; those in use stay below 4."""
_hushing = threading.RLock()


@contextmanager
def tokenizer_calls(where: str) -> Iterator[None]:
    """Let a tokenizer of a file be built or asked.

    Args:
        where: the model as errors name it.

    Raises:
        ModelNotFoundError: the tokenizer's library failed.
    """
    try:
        with _hushed():
            yield
    except BaseException as error:
        if not is_panic(error) and type(error) is not Exception:  # the library's own are bare
            raise
        raise ModelNotFoundError(
            f"{where}: its tokenizer fails ({str(error)[:120]}): check tokenizer.json, or fetch or "
            "save it again"
        ) from error


class GuardedTokenizer:
    """A tokenizer of transformers, called through `tokenizer_calls` alone."""

    def __init__(self, tokenizer: Any, where: str) -> None:
        """Guard a tokenizer, or one that is guarded already.

        Args:
            tokenizer: transformers' own.
            where: the model as errors name it.

        Raises:
            ModelNotFoundError: it would make texts too long to be held.
        """
        self._held: Any = tokenizer._held if isinstance(tokenizer, GuardedTokenizer) else tokenizer
        self._where = where
        check_growth(getattr(self._held, "backend_tokenizer", None), where)

    def __call__(self, *texts: Any, **options: Any) -> Any:
        """What the tokenizer makes of texts."""
        with tokenizer_calls(self._where):
            return self._held(*texts, **options)

    def decode(self, *ids: Any, **options: Any) -> Any:
        """The text of token ids."""
        with tokenizer_calls(self._where):
            return self._held.decode(*ids, **options)

    def __len__(self) -> int:
        """Tokens, added ones included."""
        return len(self._held)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # asked of half-made copies
            raise AttributeError(name)
        return getattr(self._held, name)


def check_growth(tokenizer: Any, where: str) -> None:
    """Refuse a normaliser that makes of a text many times its length, before it meets one.

    Args:
        tokenizer: of the library `tokenizers`; others are passed over.
        where: the model as errors name it.

    Raises:
        ModelNotFoundError: it does.
    """
    normalizer = getattr(tokenizer, "normalizer", None)
    if normalizer is None:
        return
    if (growth := _growth(json.loads(normalizer.__getstate__()))) > _MOST_GROWTH:
        raise ModelNotFoundError(
            f"{where}: its tokenizer's normalizer makes a text {growth:.3g} times as long, "
            f"expected at most {_MOST_GROWTH}: check tokenizer.json"
        )


def _growth(step: Mapping[str, Any]) -> float:
    """Times its length that one step, or a sequence of them, may make of a text."""
    if "normalizers" in step:
        product = 1.0
        for one in step["normalizers"]:
            product = min(product * _growth(one), 1e300)
        return product
    if step.get("type") == "Prepend":
        return 1.0 + len(step["prepend"])
    if step.get("type") == "Replace":
        found = step["pattern"].get("String", "x")  # an expression may match single letters
        return max(1.0, len(step["content"]) / max(1, len(found)))
    return 1.0


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what a panic says of itself off stderr, which the library writes to past Python."""
    with _hushing:
        try:
            stderr = os.dup(2)
        except OSError:  # it is closed
            yield
            return
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 2)
        os.close(silence)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
