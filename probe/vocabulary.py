"""A model's vocabulary: V tokens as people read them and their embedding table [V, H].

A row of the table, as every analysis reads it, is what the model feeds on for that token: what its
embedding layer answers. Most layers only look up; some multiply what they looked up by a factor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pkgutil import resolve_name
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from probe.arrays import BoolArray, Float32Array, Float64Array, IntArray, multiplied, to_float32
from probe.errors import ModelNotFoundError
from probe.linalg import squared_norms

TableDtype = Literal["F64", "F32", "F16", "BF16"]

_STORED_AS = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
SCALE_ROWS = 1000
"""Tokens from whose rows the scale of a table is told."""
_HASH_BYTES = 1 << 24
_NORM_ROWS = 4096
_WIDENED_BYTES = 192 << 20


class TextCodec(Protocol):
    """What a vocabulary needs of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without the special tokens a model adds."""
        ...

    def encode_special(self, text: str) -> list[int] | None:
        """Token ids of `text` with the special tokens a model adds; None where unknown."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids."""
        ...


class EmbeddingLayer(Protocol):
    """A layer that makes more of stored rows than products with one number."""

    @property
    def digest(self) -> str:
        """sha256 of its kind and of what it holds beside the table."""
        ...

    def answers(self, ids: IntArray) -> Float32Array:
        """What the model feeds on for token ids, [..., H]."""
        ...


@dataclass(frozen=True)
class TokenMasks:
    """One flag per table row, each a read-only boolean array [V]."""

    special: BoolArray
    """Control tokens such as `</s>`, `[CLS]`, `<|endoftext|>`."""
    added: BoolArray
    """Tokens added to the tokenizer after it was trained, special or not."""
    byte: BoolArray
    """Tokens that stand for raw bytes and are not valid text by themselves."""
    unused: BoolArray
    """Rows no text ever reaches: padding beyond the tokenizer, `[unused12]`, …"""
    word_start: BoolArray
    """Tokens that begin a word."""


@dataclass(frozen=True)
class EmbeddingScale:
    """How long the rows are that a model feeds on, beside those its table stores."""

    factor: float
    """What its embedding layer multiplies stored rows by."""
    norm: float
    """Median Euclidean norm of what it feeds on, over a thousand tokens."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """V tokens and the embedding table [V, H] they index, in its stored precision."""

    name: str
    """The base model as the user named it."""
    tokens: tuple[str, ...]
    """[V], as shown to people: a leading space is visible (`␣`), raw bytes are escaped."""
    table: NDArray[np.generic]
    """[V, H], usually memory-mapped; bfloat16 is kept as its raw 16 bits (uint16)."""
    dtype: TableDtype
    masks: TokenMasks
    codec: TextCodec | None = field(default=None, repr=False)
    tokenizer_sha256: str = ""
    factor: float = 1.0
    """What the model's embedding layer multiplies stored rows by: the root of H in Gemma."""
    layer: EmbeddingLayer | None = field(default=None, repr=False)
    """The layer itself, where it does more than multiplying."""

    def __post_init__(self) -> None:
        """Check that every part describes the same V rows.

        Raises:
            ValueError: shapes or the stored precision disagree.
        """
        if self.table.ndim != 2 or self.table.dtype != _STORED_AS[self.dtype]:
            raise ValueError(
                f"a {self.dtype} table must be a [V, H] array of {np.dtype(_STORED_AS[self.dtype])}"
                f", found {self.table.dtype} {self.table.shape}"
            )
        rows = {"tokens": len(self.tokens)} | {k: len(v) for k, v in vars(self.masks).items()}
        if wrong := {k: n for k, n in rows.items() if n != len(self)}:
            raise ValueError(f"the table has {len(self)} rows, but {wrong}")

    @classmethod
    def from_model(cls, model: Any, tokenizer: Any = None, which: str = "input") -> Vocabulary:
        """The vocabulary of a model in memory: no disk, whatever its device, dtype or quantisation.

            vocabulary = Vocabulary.from_model(model, tokenizer)
            probe.decode(rows, vocabulary=vocabulary)

        Rows are what the model feeds on: where its input layer does more than look stored rows up
        (dequantises, scales, adds), it is asked for every id. The model is left as it is, and the
        rows are a copy, which further training does not change.

        Args:
            model: a transformers or PEFT model.
            tokenizer: of transformers; None: the one beside the files the model was loaded from.
            which: the input table, or the one that an encoder–decoder model's `encoder` or
                `decoder` reads.

        Raises:
            ModelNotFoundError: the model has no such table, no numbers, or no tokenizer.
        """
        # By name: what reads models stands above what they are read into.
        made: Vocabulary = resolve_name("probe.tables.in_memory:vocabulary_of_objects")(
            model, tokenizer, which
        )
        return made

    def __len__(self) -> int:
        """Number of rows, V."""
        return int(self.table.shape[0])

    @property
    def width(self) -> int:
        """Hidden size, H."""
        return int(self.table.shape[1])

    def rows(self, which: slice | ArrayLike) -> Float32Array:
        """What the model feeds on for tokens: its embedding layer's rows as float32, [n, H].

        Args:
            which: a slice, or row ids [n].
        """
        chosen = which if isinstance(which, slice) else np.asarray(which)
        if self.layer is not None:
            return self.layer.answers(np.arange(len(self))[chosen])
        return multiplied(self.table[chosen], self.factor)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, by the model's own tokenizer.

        Raises:
            ValueError: the model came without a tokenizer.
        """
        return self._require_codec().encode(text)

    def encode_special(self, text: str) -> list[int] | None:
        """Token ids of `text` as the model reads it, special tokens included; None if unknown.

        Raises:
            ValueError: the model came without a tokenizer.
        """
        return self._require_codec().encode_special(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, by the model's own tokenizer.

        Raises:
            ValueError: the model came without a tokenizer.
        """
        return self._require_codec().decode([int(i) for i in ids])

    def _require_codec(self) -> TextCodec:
        if self.codec is None:
            raise ValueError(
                f"{self.name} has no tokenizer file known here: it has ids but no text"
            )
        return self.codec

    @cached_property
    def search_table(self) -> Rows:
        """The rows [V, H] as searches read them: float32 up to 192 MiB, beyond made when read."""
        if 4 * self.table.size <= _WIDENED_BYTES:
            return self.rows(slice(None))
        return self.table if self.factor == 1 and self.layer is None else MadeRows(self)

    @cached_property
    def norms(self) -> Float64Array:
        """Euclidean norm of every row, [V]."""
        found = np.empty(len(self))
        for at in range(0, len(self), _NORM_ROWS):
            found[at : at + _NORM_ROWS] = np.sqrt(
                squared_norms(self.rows(slice(at, at + _NORM_ROWS)))
            )
        return found

    @cached_property
    def scale(self) -> EmbeddingScale:
        """How long rows are, from a thousand of them: the others are left on disk."""
        some = slice(None, None, max(1, len(self) // SCALE_ROWS))
        norm = float(np.median(np.sqrt(squared_norms(self.rows(some)))))
        if self.layer is None:
            return EmbeddingScale(self.factor, norm)
        stored = float(np.median(np.sqrt(squared_norms(to_float32(self.table[some])))))
        return EmbeddingScale(norm / stored if stored else 1.0, norm)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the table's shape, precision and bytes, the tokenizer file and the factor."""
        digest = hashlib.sha256(f"{self.dtype} {self.table.shape} ".encode())
        digest.update(self.tokenizer_sha256.encode())
        if self.factor != 1:  # tables that are only looked up in keep the digests they had
            digest.update(f" times {self.factor!r}".encode())
        if self.layer is not None:
            digest.update(self.layer.digest.encode())
        step = max(1, _HASH_BYTES // (self.width * self.table.itemsize))
        for start in range(0, len(self), step):
            digest.update(np.ascontiguousarray(self.table[start : start + step]).data)
        return digest.hexdigest()


class Rows(Protocol):
    """Rows [V, H] that searches read part by part: an array, or rows made when they are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(V, H)."""
        ...

    def __len__(self) -> int:
        """V."""
        ...

    def __getitem__(self, which: Any, /) -> NDArray[np.generic]:
        """The rows of a slice or of ids [n], as stored numbers (see `to_float32`)."""
        ...


class MadeRows:
    """The rows of a vocabulary whose table is too large to be multiplied whole."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    @property
    def shape(self) -> tuple[int, ...]:
        """(V, H)."""
        return self._vocabulary.table.shape

    def __len__(self) -> int:
        """V."""
        return len(self._vocabulary)

    def __getitem__(self, which: slice | NDArray[np.integer]) -> Float32Array:
        """The rows of a slice or of ids [n]."""
        return self._vocabulary.rows(which)


def require_finite(rows: Float32Array, squares: Float32Array, first: int) -> None:
    """Refuse NaN and infinity in rows [n, H] of a table.

    Args:
        rows: part of the table.
        squares: [n] their squared norms, which are looked at first: they cost less.
        first: the row of the table that the part begins with.

    Raises:
        ModelNotFoundError: a row is not finite.
    """
    if np.isfinite(squares).all():
        return
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise ModelNotFoundError(
            f"the embedding table must be finite, found NaN or infinity in row {first + bad[0]}: "
            "use another copy of the base model"
        )
