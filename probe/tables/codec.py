"""Text to row ids and back, by the model's own tokenizer, loaded when it is first asked."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby
from typing import Any

from probe.errors import ModelNotFoundError, is_panic
from probe.texts import require_unicode

_MOST_GROWTH = 256
"""Times its length that a normaliser may make of a text; those in use stay below 4."""
_hushing = threading.RLock()


@contextmanager
def tokenizer_calls(where: str) -> Iterator[None]:
    """Let a tokenizer that came from a file be built or asked: whatever breaks in it is one line.

    The library ends a text it cannot cut (a pattern that tries too long, a damaged table) in a
    panic: an error that no `except Exception` sees, after a stack on the process's own stderr.

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


class TokenizersCodec:
    """A `tokenizer.json` document behind `encode` and `decode`."""

    def __init__(self, document: bytes, where: str, *, knows_special: bool = True) -> None:
        self._document = document
        self._where = where
        self._knows_special = knows_special

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        try:
            with tokenizer_calls(self._where):
                tokenizer = Tokenizer.from_buffer(self._document)
        except ValueError as error:
            raise ModelNotFoundError(
                f"{self._where}: tokenizer.json is not readable ({str(error)[:120]}): fetch or "
                "save it again"
            ) from error
        check_growth(tokenizer, self._where)
        # The file may ask for batches of one length; a text's own ids are wanted here.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def encode(self, text: str) -> list[int]:
        """Row ids of `text`, without the special tokens a model adds around it."""
        return self._encode(text, special=False)

    def encode_special(self, text: str) -> list[int] | None:
        """Row ids of `text` with the special tokens a model adds; None where no file tells."""
        if not self._knows_special:
            return None
        return self._encode(text, special=True)

    def _encode(self, text: str, *, special: bool) -> list[int]:
        tokenizer = self._tokenizer
        with tokenizer_calls(self._where):
            return list(tokenizer.encode(require_unicode(text), add_special_tokens=special).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of row ids, special tokens included; rows without a token are `<row 32110>`."""
        tokenizer = self._tokenizer
        with tokenizer_calls(self._where):
            return _decoded(
                ids,
                lambda row: tokenizer.id_to_token(row) is not None,
                lambda rows: tokenizer.decode(rows, skip_special_tokens=False),
            )


class SentencePieceCodec:
    """A SentencePiece model behind `encode` and `decode`.

    Args:
        processor: the library's own.
        vocab: the row of each piece, where rows are not the library's ids.
    """

    def __init__(self, processor: Any, vocab: Mapping[str, int] | None = None) -> None:
        self._processor = processor
        own = {processor.IdToPiece(row): row for row in range(processor.GetPieceSize())}
        self._rows = own if vocab is None else vocab
        self._pieces = {row: piece for piece, row in self._rows.items()}

    def encode(self, text: str) -> list[int]:
        """Row ids of `text`."""
        unknown = self._rows.get("<unk>", self._processor.unk_id())
        pieces = self._processor.EncodeAsPieces(require_unicode(text))
        return [self._rows.get(piece, unknown) for piece in pieces]

    def encode_special(self, text: str) -> list[int] | None:  # noqa: ARG002
        """None: which special tokens stand around a text is not in the file."""
        return None

    def decode(self, ids: Sequence[int]) -> str:
        """Text of row ids; rows without a piece are `<row 32110>`."""

        def text(rows: list[int]) -> str:
            return str(self._processor.DecodePieces([self._pieces[row] for row in rows]))

        return _decoded(ids, self._pieces.__contains__, text)


def _decoded(
    ids: Sequence[int], is_known: Callable[[int], bool], decode: Callable[[list[int]], str]
) -> str:
    """Text of row ids, runs of known ones decoded together; the others are `<row 32110>`."""
    return "".join(
        decode(list(rows)) if known else "".join(f"<row {row}>" for row in rows)
        for known, rows in groupby(ids, key=is_known)
    )
