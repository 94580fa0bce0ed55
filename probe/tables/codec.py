"""Text to row ids and back, by the model's own tokenizer, loaded when it is first asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

from probe.errors import ModelNotFoundError
from probe.tables.tokenizer_calls import check_growth, tokenizer_calls
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
        known = groupby(ids, key=lambda row: tokenizer.id_to_token(row) is not None)
        with tokenizer_calls(self._where):
            return "".join(
                tokenizer.decode(list(rows), skip_special_tokens=False)
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
