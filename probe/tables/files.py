"""A model's files in a folder or a pipeline."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from probe.arrays import ByteArray
from probe.errors import ModelNotFoundError

MAX_SMALL_BYTES = 1 << 28
"""Longest file that is read whole (tokenizers of 256k tokens take some 35 MB)."""


class Files(Protocol):
    """Named files of one model."""

    where: str
    """The model as errors name it."""

    def small(self, name: str) -> bytes | None:
        """A small file's bytes; None when there is no such file."""
        ...

    def size(self, name: str) -> int | None:
        """A file's length in bytes; None when there is no such file."""
        ...

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a file that has them."""
        ...

    def map(self, name: str, start: int, stop: int) -> ByteArray:
        """The same bytes, memory-mapped, [stop - start]."""
        ...


class LocalFiles:
    """The files of a local folder."""

    def __init__(self, folder: Path, where: str) -> None:
        self.folder = folder
        self.where = where

    def small(self, name: str) -> bytes | None:
        """A small file's bytes; None when there is no such file.

        Raises:
            ModelNotFoundError: the file is implausibly long.
        """
        size = self.size(name)
        return None if size is None else read_whole(self.folder / name, size, self.where)

    def size(self, name: str) -> int | None:
        """A file's length in bytes; None when there is no such file."""
        path = self.folder / name
        return path.stat().st_size if path.is_file() else None

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a file."""
        with (self.folder / name).open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def map(self, name: str, start: int, stop: int) -> ByteArray:
        """The same bytes, memory-mapped, [stop - start]."""
        return map_bytes(self.folder / name, start, stop)

    def whole(self, name: str) -> Path:
        """Where a file lies."""
        return self.folder / name


def map_bytes(path: Path, start: int, stop: int) -> ByteArray:
    """Bytes [start, stop) of a file as a read-only memory map.

    Raises:
        ModelNotFoundError: the process may not take so much address space.
    """
    try:
        return np.memmap(path, np.uint8, "r", start, (stop - start,)).view(np.ndarray)
    except (MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENOMEM:
            raise
        raise ModelNotFoundError(
            f"{path}: not enough memory to map {stop - start:,} bytes of it: end other programs, "
            "or raise the limit (ulimit -v)"
        ) from error


def read_whole(path: Path, size: int, where: str) -> bytes:
    """All bytes of a small file.

    Raises:
        ModelNotFoundError: the file is longer than `MAX_SMALL_BYTES`.
    """
    require_small(path.name, size, where)
    return path.read_bytes()


def require_small(name: str, size: int, where: str) -> None:
    """Refuse a file that is to be read, or fetched, whole.

    Raises:
        ModelNotFoundError: it is longer than `MAX_SMALL_BYTES`.
    """
    if size > MAX_SMALL_BYTES:
        raise ModelNotFoundError(
            f"{where}: {name} has {size} bytes, expected at most {MAX_SMALL_BYTES}: "
            "check that it is the model's own file"
        )


def parse_object(data: bytes, name: str, where: str) -> dict[str, Any]:
    """A JSON object from untrusted bytes.

    Raises:
        ModelNotFoundError: the bytes are not JSON, nest too deep, or hold something else.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelNotFoundError(
            f"{where}: {name} is not readable JSON ({str(error)[:80]}): fetch or save it again"
        ) from error
    if not isinstance(found, dict):
        raise ModelNotFoundError(
            f"{where}: {name} must hold a JSON object, found {type(found).__name__}: "
            "fetch or save it again"
        )
    return found


def optional_object(files: Files, name: str) -> dict[str, Any]:
    """What a small JSON file says; empty where there is no such file.

    Raises:
        ModelNotFoundError: it is no JSON object.
    """
    data = files.small(name)
    return {} if data is None else parse_object(data, name, files.where)


_FLOATS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}


def parse_config(data: bytes, where: str) -> dict[str, Any]:
    """A `config.json`, its infinities as numbers: transformers writes `{"__float__": "Infinity"}`.

    Raises:
        ModelNotFoundError: it is not readable JSON, or no object.
    """
    found = parse_object(data, "config.json", where)
    return {key: _with_floats(value) for key, value in found.items()}


def _with_floats(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_floats(each) for each in value]
    if not isinstance(value, dict):
        return value
    tag = value.get("__float__")
    if len(value) == 1 and isinstance(tag, str) and tag in _FLOATS:
        return _FLOATS[tag]
    return {key: _with_floats(each) for key, each in value.items()}


PIPELINE_INDEX = "model_index.json"
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
    if files.size("config.json") is not None or (data := files.small(PIPELINE_INDEX)) is None:
        return files
    encoders = sorted(filter(_is_encoder, parse_object(data, PIPELINE_INDEX, files.where)))
    return TextEncoderFiles(files, encoders[0]) if encoders else files


def folder_files(folder: Path, where: str) -> Files:
    """The files of a local folder; a pipeline's text encoder is read with its tokenizer."""
    if _is_encoder(folder.name) and (folder.parent / PIPELINE_INDEX).is_file():
        pipeline = LocalFiles(folder.parent, where.rstrip("/\\").removesuffix(folder.name) or ".")
        return TextEncoderFiles(pipeline, folder.name)
    return with_text_encoder(LocalFiles(folder, where))


def _is_encoder(part: str) -> bool:
    return part == _ENCODER or part.removeprefix(f"{_ENCODER}_").isdecimal()
