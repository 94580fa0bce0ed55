"""Text to row ids and back, by the model's own tokenizer, loaded when it is first asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

from probe.errors import ModelNotFoundError, ProbeError
from probe.texts import require_unicode


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
            tokenizer = Tokenizer.from_buffer(self._document)
        except Exception as error:  # the library raises bare Exception for a bad document
            raise ModelNotFoundError(
                f"{self._where}: tokenizer.json is not readable ({str(error)[:120]}): fetch or "
                "save it again"
            ) from error
        # The file may ask for batches of one length; a text's own ids are wanted here.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def encode(self, text: str) -> list[int]:
        """Row ids of `text`, without the special tokens a model adds around it."""
        return self._ids(text, special=False)

    def encode_special(self, text: str) -> list[int] | None:
        """Row ids of `text` with the special tokens a model adds; None where no file tells."""
        if not self._knows_special:
            return None
        return self._ids(text, special=True)

    def _ids(self, text: str, *, special: bool) -> list[int]:
        text = require_unicode(text)
        try:
            return list(self._tokenizer.encode(text, add_special_tokens=special).ids)
        except ProbeError:
            raise
        except Exception as error:  # bare, as where an unknown word has no token to stand for it
            raise ModelNotFoundError(
                f"{self._where}: its tokenizer cannot read this text ({str(error)[:120]}): fetch "
                "or save it again"
            ) from error

    def decode(self, ids: Sequence[int]) -> str:
        """Text of row ids, special tokens included; rows without a token are `<row 32110>`."""
        known = groupby(ids, key=lambda row: self._tokenizer.id_to_token(row) is not None)
        return "".join(
            self._tokenizer.decode(list(rows), skip_special_tokens=False)
            if named
            else "".join(f"<row {row}>" for row in rows)
            for named, rows in known
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
        return "".join(
            self._processor.DecodePieces([self._pieces[row] for row in rows])
            if named
            else "".join(f"<row {row}>" for row in rows)
            for named, rows in groupby(ids, key=lambda row: row in self._pieces)
        )
