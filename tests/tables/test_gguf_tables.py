"""The table of a GGUF file is the `gguf` package's own, to the bit, whatever it is stored as."""

import os
import sys

import gguf
import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.testing import assert_array_equal

from probe import verbs
from probe.errors import ModelNotFoundError
from probe.prompt import SoftPrompt
from probe.tables import load_vocabulary
from probe.tables.cache import cache_folder, drop_unused
from probe.tables.gguf_header import BLOCKS
from tests.tables.gguf_made import (
    byte_level_fields,
    causal,
    quantised,
    tensors_of,
    train_byte_level,
    write_gguf,
)

ROWS, WIDTH = 420, 256
WRITTEN = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4", "TQ1_0", "TQ2_0")
READ_ONLY = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "IQ3_S", "IQ2_XXS"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def fields():
    return byte_level_fields(train_byte_level(), ROWS, "gpt-2")


def blocks(kind, rng):
    """Blocks of any type: small numbers as half-precision scales wherever those may lie."""
    size, stored = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    made = rng.normal(0, 0.01, (ROWS, WIDTH // size * stored // 2 + 1)).astype(np.float16)
    return made.view(np.uint8)[:, : WIDTH // size * stored].copy()


def write(path, fields, values, kind, **options):
    tensors = {"token_embd.weight": (values, GGMLQuantizationType[kind])}
    return write_gguf(path, "llama", fields, {"context_length": 128}, tensors, **options)


@pytest.mark.parametrize("kind", WRITTEN)
def test_what_the_package_writes_is_read_back_as_it_reads_it(kind, fields, tmp_path):
    rng = np.random.default_rng(0)
    stored, number = quantised(rng.normal(0, 0.1, (ROWS, WIDTH)).astype(np.float32), kind)
    found = load_vocabulary(write(tmp_path / "m.gguf", fields, stored, kind))
    assert_array_equal(found.rows(slice(None)), gguf.dequantize(stored, number))
    assert found.rows(slice(None)).dtype == np.float32


@pytest.mark.parametrize("kind", READ_ONLY)
def test_types_that_llama_cpp_alone_writes_are_undone_too(kind, fields, tmp_path):
    stored = blocks(kind, np.random.default_rng(1))
    expected = gguf.dequantize(stored, GGMLQuantizationType[kind])
    found = load_vocabulary(write(tmp_path / "m.gguf", fields, stored, kind))
    assert_array_equal(found.rows(slice(None)), expected)


def test_a_prompt_of_real_tokens_of_a_quantised_gemma_decodes_to_them(fields, tmp_path):
    stored = blocks("Q6_K", np.random.default_rng(2))
    tensors = {"token_embd.weight": (stored, GGMLQuantizationType.Q6_K)}
    file = write_gguf(tmp_path / "m.gguf", "gemma2", fields, {}, tensors)
    found = load_vocabulary(file)
    assert found.factor == np.float32(WIDTH**0.5)
    rows = [300, 5, 77, 300]
    scaled = gguf.dequantize(stored, GGMLQuantizationType.Q6_K)[rows] * np.float32(WIDTH**0.5)
    decoded = verbs.decode(SoftPrompt("real", scaled), str(file), metric="l2")
    nearest = [position.neighbours[0].token for position in decoded.positions]
    assert nearest == [found.tokens[row] for row in rows]


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_rows_of_a_half_precise_gemma_are_multiplied_in_float32_as_it_runs(kind, fields, tmp_path):
    values = np.random.default_rng(0).normal(0, 0.1, (ROWS, WIDTH)).astype(np.float32)
    tensors = {"token_embd.weight": quantised(values, kind)}
    found = load_vocabulary(write_gguf(tmp_path / "m.gguf", "gemma2", fields, {}, tensors))
    stored = gguf.dequantize(*tensors["token_embd.weight"])[[3, 7]]
    assert_array_equal(found.rows([3, 7]), stored * np.float32(WIDTH**0.5))
    assert found.scale.factor == pytest.approx(WIDTH**0.5)


def test_float_tables_are_mapped_and_undone_ones_kept(fields, tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.1, (ROWS, WIDTH)).astype(np.float32)
    load_vocabulary(write(tmp_path / "half.gguf", fields, values.astype(np.float16), "F16"))
    assert not list(cache_folder().rglob("*.f32"))
    file = write(tmp_path / "eight.gguf", fields, quantised(values, "Q8_0")[0], "Q8_0")
    first = load_vocabulary(file)
    (kept,) = (cache_folder() / "gguf").glob("*.f32")
    assert kept.stat().st_size == 4 * values.size
    os.rename(file, tmp_path / "renamed.gguf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "gguf", None)
        again = load_vocabulary(tmp_path / "renamed.gguf")
    assert_array_equal(again.table, first.table)
    assert again.fingerprint == first.fingerprint


def test_another_files_table_is_never_taken_for_it(fields, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(2):
        values = rng.normal(0, 0.1, (ROWS, WIDTH)).astype(np.float32)
        stored, kind = quantised(values, "Q8_0")
        found = load_vocabulary(write(tmp_path / f"{number}.gguf", fields, stored, "Q8_0"))
        assert_array_equal(found.table, gguf.dequantize(stored, kind))


def test_a_cache_that_cannot_be_written_costs_time_only(fields, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "file"))
    stored, kind = quantised(np.ones((ROWS, WIDTH), np.float32), "Q4_0")
    found = load_vocabulary(write(tmp_path / "m.gguf", fields, stored, "Q4_0"))
    assert_array_equal(found.table, gguf.dequantize(stored, kind))


def test_what_was_unused_for_longest_leaves_the_cache_first(tmp_path, monkeypatch):
    monkeypatch.setattr("probe.tables.cache.MAX_KEPT_BYTES", 20)
    for age, name in enumerate("abc"):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    (tmp_path / "d").symlink_to("removed")  # as what another process has just removed
    drop_unused(tmp_path, tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir() if path.exists()) == ["a", "c"]


def test_other_alignments_than_usual_are_read(fields, tmp_path):
    values = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    found = load_vocabulary(write(tmp_path / "m.gguf", fields, values, "F32", alignment=8))
    assert_array_equal(found.table, values)


def test_a_type_that_nothing_undoes_is_named(fields, tmp_path):
    stored = np.zeros((ROWS, WIDTH), np.int8).view(np.uint8)
    file = write(tmp_path / "m.gguf", fields, stored, "I8")
    with pytest.raises(ModelNotFoundError, match="stores its table as I8.*another quantisation"):
        load_vocabulary(file)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_1", "F16", "BF16"])
def test_a_quantised_model_runs_on_what_the_package_undoes(kind, fields, tmp_path):
    from probe.models import load_model

    model, metadata = causal("qwen2", ROWS)
    tensors = tensors_of(model, "qwen2", kind)
    file = write_gguf(tmp_path / "m.gguf", "qwen2", fields, metadata, tensors)
    running = load_model(file).model.state_dict()
    for name, target in (
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("model.layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight"),
        ("model.layers.0.self_attn.q_proj.bias", "blk.0.attn_q.bias"),
    ):
        assert_array_equal(running[name].numpy(), gguf.dequantize(*tensors[target]))


def test_the_sizes_of_all_types_are_the_packages(tmp_path):
    assert {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()} == BLOCKS
