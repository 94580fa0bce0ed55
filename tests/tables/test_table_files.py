"""Local checkpoints: only the table is read, and a hostile file ends in one clear line."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from probe.errors import ModelNotFoundError
from probe.tables import load_vocabulary

TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)
NAME = "model.embed_tokens.weight"


def _folder(path: Path, tensors: dict[str, np.ndarray] | None = None) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text('{"model_type": "llama"}')
    save_file(
        tensors or {"a.bias": np.ones(5, np.float32), NAME: TABLE}, path / "model.safetensors"
    )
    return path


def _with_header(path: Path, header: object, data: bytes = TABLE.tobytes()) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (_folder(path) / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def _entry(**changes: object) -> dict[str, Any]:
    return {NAME: {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]} | changes}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_table_is_mapped_in_its_stored_precision(dtype: Any, tmp_path: Path) -> None:
    vocabulary = load_vocabulary(_folder(tmp_path, {NAME: TABLE.astype(dtype)}))
    assert vocabulary.table.dtype == dtype
    assert not vocabulary.table.flags.writeable
    np.testing.assert_array_equal(vocabulary.table, TABLE)


def test_a_model_without_tokenizer_shows_row_numbers(tmp_path: Path) -> None:
    vocabulary = load_vocabulary(_folder(tmp_path))
    assert vocabulary.tokens == ("<row 0>", "<row 1>", "<row 2>", "<row 3>")
    assert vocabulary.codec is None
    assert vocabulary.masks.unused.all()
    with pytest.raises(ValueError, match="has no tokenizer file"):
        vocabulary.encode("x")


def test_a_name_kept_in_the_metadata_is_followed(tmp_path: Path) -> None:
    _folder(tmp_path)
    save_file({"lm_head.weight": TABLE}, tmp_path / "model.safetensors", {NAME: "lm_head.weight"})
    np.testing.assert_array_equal(load_vocabulary(tmp_path).table, TABLE)


def test_only_the_shard_that_holds_the_table_is_opened(tmp_path: Path) -> None:
    (_folder(tmp_path) / "model.safetensors").rename(tmp_path / "b.safetensors")
    index = {"weight_map": {"lm_head.weight": "missing.safetensors", NAME: "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    np.testing.assert_array_equal(load_vocabulary(tmp_path).table, TABLE)


@pytest.mark.process
def test_a_big_table_costs_no_memory_until_it_is_read(tmp_path: Path) -> None:
    """512 MB of sparse file in a process allowed far less."""
    rows, header_bytes = 1 << 17, 1 << 10
    header = json.dumps(
        {NAME: {"dtype": "F32", "shape": [rows, 1024], "data_offsets": [0, rows * 4096]}}
    ).encode()
    with (_folder(tmp_path) / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", header_bytes) + header.ljust(header_bytes))
        file.truncate(8 + header_bytes + rows * 4096)
    code = (
        "import resource, sys; from probe.tables import load_vocabulary\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert load_vocabulary(sys.argv[1]).width == 1024\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    grown_kb = int(subprocess.check_output([sys.executable, "-c", code, str(tmp_path)]))
    assert grown_kb < 100_000


HOSTILE_HEADERS: dict[str, Any] = {
    "not json": b"{nope",
    "nested too deep": b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "a list": [1],
    "an entry that is no object": {NAME: 3},
    "an unknown dtype": _entry(dtype="F9"),
    "a dtype that is a list": _entry(dtype=["F32"]),
    "one dimension": _entry(shape=[12]),
    "no rows": _entry(shape=[0, 3], data_offsets=[0, 0]),
    "negative rows": _entry(shape=[-4, -3]),
    "rows beyond reason": _entry(shape=[2**60, 3]),
    "rows that are true": _entry(shape=[True, 12]),
    "fractional rows": _entry(shape=[4.0, 3]),
    "offsets past the end": _entry(data_offsets=[48, 96]),
    "offsets backwards": _entry(data_offsets=[48, 0]),
    "offsets of another length": _entry(data_offsets=[0, 47]),
    "offsets that are text": _entry(data_offsets="ab"),
    "no offsets": {NAME: {"dtype": "F32", "shape": [4, 3]}},
}


@pytest.mark.parametrize("header", HOSTILE_HEADERS.values(), ids=HOSTILE_HEADERS.keys())
def test_a_hostile_header_is_one_clear_error(header: object, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="fetch or save it again") as caught:
        load_vocabulary(_with_header(tmp_path, header))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("length", [0, 1, 99, 10**8 + 1, 2**60, 2**64 - 1])
def test_a_header_length_is_checked_against_the_file(length: int, tmp_path: Path) -> None:
    weights = _folder(tmp_path) / "model.safetensors"
    weights.write_bytes(struct.pack("<Q", length) + b"{}" + b" " * 90)
    with pytest.raises(ModelNotFoundError, match="damaged|not readable JSON"):
        load_vocabulary(tmp_path)


def test_a_checkpoint_cut_anywhere_is_one_clear_error(tmp_path: Path) -> None:
    weights = _folder(tmp_path, {NAME: TABLE}) / "model.safetensors"
    whole = weights.read_bytes()
    for length in range(len(whole)):
        weights.write_bytes(whole[:length])
        with pytest.raises(ModelNotFoundError, match="fetch or save it again"):
            load_vocabulary(tmp_path)


@pytest.mark.parametrize(
    "shard",
    ["../b.safetensors", "/etc/passwd", "a/b", "a\\b", "C:b", "..", ".", "", "a\0", 3, None],
)
def test_an_index_cannot_point_outside_the_folder(shard: object, tmp_path: Path) -> None:
    (_folder(tmp_path / "m") / "model.safetensors").rename(tmp_path / "b.safetensors")
    index = {"weight_map": {NAME: shard}}
    (tmp_path / "m" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelNotFoundError, match="no embedding table|not a file beside the index"):
        load_vocabulary(tmp_path / "m")


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    (_folder(tmp_path) / "model.safetensors").unlink()
    index = {"weight_map": {NAME: "model-00001-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelNotFoundError, match="lacks model-00001-of-00002.safetensors"):
        load_vocabulary(tmp_path)


def test_a_checkpoint_without_a_table_names_what_was_looked_for(tmp_path: Path) -> None:
    folder = _folder(tmp_path, {"prompt_embeddings": TABLE})
    with pytest.raises(ModelNotFoundError, match=rf"{NAME}; nearest: prompt_emb"):
        load_vocabulary(folder)


@pytest.mark.parametrize("config", ["[]", "nope", '"llama"', "null", "[" * 100_000, "\xff"])
def test_a_config_that_is_no_object_is_one_clear_error(config: str, tmp_path: Path) -> None:
    (_folder(tmp_path) / "config.json").write_bytes(config.encode("latin-1"))
    with pytest.raises(ModelNotFoundError, match="config.json"):
        load_vocabulary(tmp_path)


@pytest.mark.parametrize("tokenizer", ["[]", "nope", "[" * 100_000])
def test_a_damaged_tokenizer_is_one_clear_error(tokenizer: str, tmp_path: Path) -> None:
    (_folder(tmp_path) / "tokenizer.json").write_text(tokenizer)
    with pytest.raises(ModelNotFoundError, match="tokenizer.json"):
        load_vocabulary(tmp_path)


def test_a_folder_without_config_or_weights_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="no config.json: expected a model saved by"):
        load_vocabulary(tmp_path)
    (_folder(tmp_path) / "model.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match="no weights: expected model.safetensors, pytorch"):
        load_vocabulary(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read_is_one_clear_error(tmp_path: Path) -> None:
    (_folder(tmp_path) / "model.safetensors").chmod(0)
    with pytest.raises(ModelNotFoundError, match="cannot be read"):
        load_vocabulary(tmp_path)


def test_a_path_that_is_nothing_says_what_was_expected(tmp_path: Path) -> None:
    for model in (tmp_path / "absent", str(tmp_path / "absent"), "no such model!"):
        with pytest.raises(ModelNotFoundError, match="expected builtin, minilm, smollm2, a model"):
            load_vocabulary(model)


def test_a_wrong_stack_name_lists_the_right_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="one of .*'input', 'encoder', 'decoder'"):
        load_vocabulary(_folder(tmp_path), which="output")  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [OSError(12, "Cannot allocate memory"), MemoryError()])
def test_too_little_memory_to_map_a_table_is_said(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.ones((3, 4), np.float32)
    save_file({"transformer.wte.weight": rows}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "vocab_size": 3}')

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(np, "memmap", fail)
    with pytest.raises(ModelNotFoundError, match="not enough memory to map 48 bytes"):
        load_vocabulary(tmp_path)
