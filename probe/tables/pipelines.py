"""Text encoders within a diffusers pipeline: weights in one folder, tokenizer in another."""

from __future__ import annotations

from pathlib import Path

from probe.arrays import ByteArray
from probe.tables.files import Files, LocalFiles, parse_object

INDEX = "model_index.json"
"""What a pipeline has in place of `config.json`: its parts, each in a folder of its name."""
_ENCODER, _TOKENIZER = "text_encoder", "tokenizer"


class TextEncoderFiles:
    """The files of one text encoder, as if they lay in one folder."""

    def __init__(self, pipeline: Files, part: str) -> None:
        self.where = f"{pipeline.where.rstrip('/')}/{part}"
        self._pipeline, self._part = pipeline, part

    def small(self, name: str) -> bytes | None:
        """A small file's bytes; None when there is no such file."""
        return self._pipeline.small(self._place(name))

    def size(self, name: str) -> int | None:
        """A file's length in bytes; None when there is no such file."""
        return self._pipeline.size(self._place(name))

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a file."""
        return self._pipeline.read(self._place(name), start, stop)

    def map(self, name: str, start: int, stop: int) -> ByteArray:
        """The same bytes, memory-mapped, [stop - start]."""
        return self._pipeline.map(self._place(name), start, stop)

    def _place(self, name: str) -> str:
        weights = name == "config.json" or name.startswith(("model", "pytorch_model"))
        part = self._part if weights else self._part.replace(_ENCODER, _TOKENIZER, 1)
        return f"{part}/{name}"


def with_text_encoder(files: Files) -> Files:
    """The files of a pipeline's first text encoder; any other model's files as they are.

    Raises:
        ModelNotFoundError: the pipeline's index is damaged.
    """
    if files.size("config.json") is not None or (data := files.small(INDEX)) is None:
        return files
    encoders = sorted(filter(_is_encoder, parse_object(data, INDEX, files.where)))
    return TextEncoderFiles(files, encoders[0]) if encoders else files


def folder_files(folder: Path, where: str) -> Files:
    """The files of a local folder; a pipeline's text encoder is read with its tokenizer."""
    if _is_encoder(folder.name) and (folder.parent / INDEX).is_file():
        pipeline = LocalFiles(folder.parent, where.rstrip("/\\").removesuffix(folder.name) or ".")
        return TextEncoderFiles(pipeline, folder.name)
    return with_text_encoder(LocalFiles(folder, where))


def _is_encoder(part: str) -> bool:
    return part == _ENCODER or part.removeprefix(f"{_ENCODER}_").isdecimal()
