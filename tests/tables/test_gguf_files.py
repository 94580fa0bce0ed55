"""Where GGUF models are found, and what damaged or hostile files come to."""

import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from probe.errors import ModelNotFoundError
from probe.models import load_model
from probe.studies.sources import load_frozen
from probe.tables import load_vocabulary, model_facts
from tests.tables.gguf_made import (
    byte_level_fields,
    causal,
    quantised,
    tensors_of,
    train_byte_level,
    write_gguf,
)
from tests.waiting import LONGEST_S

ROWS, WIDTH = 420, 64


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def fields():
    return byte_level_fields(train_byte_level(), ROWS, "gpt-2")


@pytest.fixture
def file(fields, tmp_path):
    """A file of one Q8_0 table, in a folder of its own."""
    (tmp_path / "models").mkdir()
    values = np.random.default_rng(0).normal(0, 0.1, (ROWS, WIDTH)).astype(np.float32)
    tensors = {"token_embd.weight": quantised(values, "Q8_0")}
    metadata = {"context_length": 128}
    return write_gguf(tmp_path / "models" / "m.gguf", "llama", fields, metadata, tensors)


# Where it is found


def test_a_file_its_folder_and_a_file_without_an_ending_are_the_same_model(file, tmp_path):
    expected = load_vocabulary(file)
    blob = tmp_path / "sha256-0123"
    shutil.copy(file, blob)
    for name in (str(file), str(file.parent), file.parent, str(blob)):
        found = load_vocabulary(name)
        assert found.fingerprint == expected.fingerprint
        assert found.name == str(name)
    assert model_facts(str(file)).positions == 128


def test_a_folder_of_several_asks_for_one_of_them(file):
    shutil.copy(file, file.with_name("n.gguf"))
    with pytest.raises(ModelNotFoundError, match="2 GGUF files.*name it, as in"):
        load_vocabulary(file.parent)
    shutil.move(file.with_name("n.gguf"), file.with_name("mmproj-model-f16.gguf"))
    assert len(load_vocabulary(file.parent)) == ROWS


@pytest.mark.parametrize(
    "name", ["Model-7B-mmproj-f16.gguf", "m.imatrix.gguf", "ggml-vocab.gguf", "lora.gguf"]
)
def test_what_comes_beside_a_model_is_not_taken_for_another(name, file, fields):
    for beside in (name, f"a{name}"):
        tensors = {"v.patch_embd.weight": quantised(np.ones((4, 32), np.float32), "F32")}
        write_gguf(file.with_name(beside), "clip", fields, {}, tensors)
    assert len(load_vocabulary(file.parent)) == ROWS
    file.unlink()
    with pytest.raises(ModelNotFoundError, match="no token_embd.weight|holds 2 GGUF files"):
        load_vocabulary(file.parent)


def test_parts_whose_names_were_exchanged_are_told_apart(fields, tmp_path):
    """Each part says its number, and the first one has the vocabulary."""
    names = ("output.weight", "token_embd.weight")
    tensors = dict.fromkeys(names, quantised(np.ones((ROWS, WIDTH), np.float32), "Q8_0"))
    for number, (name, own) in enumerate(zip(reversed(PARTS), (fields, {}), strict=True)):
        at = {"split.count": 2, "split.no": number}
        write_split(tmp_path / name, own, {}, tensors, [names[number]], at)
    with pytest.raises(ModelNotFoundError, match="says that it is part 1.*expected 0"):
        load_vocabulary(tmp_path)
    (tmp_path / PARTS[0]).unlink()
    with pytest.raises(ModelNotFoundError, match=f"has no {PARTS[0]}"):
        load_vocabulary(tmp_path)


def test_a_folder_saved_by_transformers_is_read_as_one_even_beside_a_gguf_file(file):
    (file.parent / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ModelNotFoundError, match="no weights"):
        load_vocabulary(file.parent)


def test_a_file_of_another_kind_is_named(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"PK\3\4 not one")
    with pytest.raises(ModelNotFoundError, match=r"starts with b'PK.*expected a GGUF file"):
        load_vocabulary(tmp_path / "m.gguf")


PARTS = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]


@pytest.mark.parametrize("named", [*PARTS, ""])
def test_a_split_model_is_decoded_and_run_whichever_part_is_named(named, fields, tmp_path):
    model, metadata = causal("qwen2", ROWS)
    tensors = tensors_of(model, "qwen2")
    names = list(tensors)
    at = {"split.count": 2}
    for part, kept in enumerate((names[5:], names[:5])):
        own = dict(fields) if part == 0 else {}
        write_split(tmp_path / PARTS[part], own, metadata, tensors, kept, at)
    found = load_vocabulary(tmp_path / named)
    assert_array_equal(found.table, model.model.embed_tokens.weight.detach().numpy())
    running = load_model(tmp_path / named)
    ids = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        torch.testing.assert_close(running.model(ids).logits, model(ids).logits)


@pytest.mark.parametrize("native", [True, False])
def test_runs_take_a_file_in_bfloat16_where_the_cpu_multiplies_it(
    native, fields, tmp_path, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    model, metadata = causal("llama", ROWS)
    path = write_gguf(tmp_path / "m.gguf", "llama", fields, metadata, tensors_of(model, "llama"))
    found = load_frozen(str(path), device="cpu", dtype=None)
    assert found.dtype == (torch.bfloat16 if native else torch.float32)
    assert load_frozen(str(path), device="cpu", dtype="float32").dtype == torch.float32
    assert load_frozen("builtin", device="cpu", dtype=None).dtype == torch.float32


def write_split(path, fields, metadata, tensors, kept, count):
    from gguf import GGUFWriter

    real = GGUFWriter.__init__

    def with_count(self, *args, **kwargs):
        real(self, *args, **kwargs)
        for key, number in count.items():
            self.add_uint16(key, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GGUFWriter, "__init__", with_count)
        write_gguf(path, "qwen2", fields, metadata, {name: tensors[name] for name in kept})


def test_a_missing_part_is_named(fields, tmp_path):
    tensors = {"output.weight": quantised(np.ones((ROWS, WIDTH), np.float32), "F32")}
    path = tmp_path / "m-00001-of-00003.gguf"
    write_split(path, fields, {}, tensors, ["output.weight"], {"split.count": 3})
    with pytest.raises(ModelNotFoundError, match=r"has no m-00002-of-00003.gguf"):
        load_vocabulary(path)
    shutil.move(path, tmp_path / "renamed.gguf")
    with pytest.raises(ModelNotFoundError, match="one of 3 parts.*keep the names"):
        load_vocabulary(tmp_path / "renamed.gguf")


# What cannot be read


def test_a_file_without_a_table_says_what_it_lacks(fields, tmp_path):
    tensors = {"v.patch_embd.weight": quantised(np.ones((4, 32), np.float32), "F32")}
    for own in (fields, {}):
        file = write_gguf(tmp_path / "m.gguf", "clip", own, {}, tensors)
        for load in (load_vocabulary, load_model):
            with pytest.raises(ModelNotFoundError, match="no token_embd.weight.*a projector"):
                load(file)


def test_an_architecture_that_transformers_does_not_know_is_decoded_but_not_run(fields, tmp_path):
    values = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    tensors = {"token_embd.weight": quantised(values, "F32")}
    file = write_gguf(tmp_path / "m.gguf", "plamo3", fields, {}, tensors)
    assert_array_equal(load_vocabulary(file).table, values)
    with pytest.raises(
        ModelNotFoundError, match=r"'plamo3', which transformers .* decoded"
    ) as said:
        load_model(file)
    assert "\n" not in str(said.value)


def test_layers_beyond_those_it_says_are_never_left_out(fields, tmp_path):
    model, metadata = causal("llama", ROWS)
    path, tensors = tmp_path / "m.gguf", tensors_of(model, "llama")
    write_gguf(path, "llama", fields, metadata | {"block_count": 1}, tensors)
    with pytest.raises(ModelNotFoundError, match="says 1 layer and holds tensors of layer 1"):
        load_model(path)


def test_a_model_without_a_tokenizer_is_decoded_and_not_run(tmp_path):
    model, metadata = causal("llama", ROWS)
    path = write_gguf(tmp_path / "m.gguf", "llama", {}, metadata, tensors_of(model, "llama"))
    assert len(load_vocabulary(path)) == ROWS
    with pytest.raises(ModelNotFoundError, match="holds no tokenizer.*can be decoded"):
        load_model(path)


def test_missing_tensors_are_never_made_up(fields, tmp_path):
    model, metadata = causal("qwen2", ROWS)
    tensors = tensors_of(model, "qwen2")
    del tensors["blk.1.ffn_up.weight"]
    file = write_gguf(tmp_path / "m.gguf", "qwen2", fields, metadata, tensors)
    with pytest.raises(ModelNotFoundError, match=r"lacks 1 tensor .*layers.1.mlp.up_proj"):
        load_model(file)
    assert not list((tmp_path / "home").glob("cache/models/*"))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("block_count", 2**31, "2,147,483,648 layers and holds"),
        ("feed_forward_length", 2**30, "weights and holds"),
        ("embedding_length", 2**20, "weights and holds"),
        ("attention.head_count", 0, "cannot be loaded"),
    ],
)
def test_sizes_that_no_tensor_bears_out_are_refused_before_memory_is_taken(
    key, value, words, fields, tmp_path
):
    model, metadata = causal("qwen2", ROWS)
    tensors = tensors_of(model, "qwen2")
    file = write_gguf(tmp_path / "m.gguf", "qwen2", fields, metadata | {key: value}, tensors)
    with pytest.raises(ModelNotFoundError, match=words) as said:
        load_model(file)
    assert "\n" not in str(said.value)


def header(*parts, tensors=0, items=0, version=3, magic=b"GGUF"):
    return magic + struct.pack("<IQQ", version, tensors, items) + b"".join(parts)


def text(data):
    return struct.pack("<Q", len(data)) + data


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def tensor(name, shape, kind=0, offset=0):
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + sizes + struct.pack("<IQ", kind, offset)


TABLE = b"token_embd.weight"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "header that reaches byte 4 of 0"),
        (b"GGUF", "header that reaches"),
        (header(version=1), "of version 1"),
        (header(version=0x03000000), "big-endian"),
        (header(tensors=2**60), "1152921504606846976 tensors"),
        (header(items=2**60), "1152921504606846976 metadata"),
        (header(items=1), "1 metadata in a file of 24"),
        (header(struct.pack("<Q", 2**60), bytes(8), items=1), "header that reaches"),
        (header(struct.pack("<Q", 2**64 - 1), bytes(8), items=1), "header that reaches"),
        (header(entry(b"k", 8, struct.pack("<Q", 2**60)), items=1), "header that reaches"),
        (header(entry(b"k", 99, bytes(8)), items=1), "metadata of type 99"),
        (header(entry(b"k", 9, struct.pack("<IQ", 9, 1)), items=1), "array of type 9"),
        (header(entry(b"k", 9, struct.pack("<IQ", 8, 2**60)), items=1), "strings"),
        (header(entry(b"k", 9, struct.pack("<IQ", 12, 2**61)), items=1), "numbers"),
        (
            header(entry(b"k", 9, struct.pack("<IQ", 8, 1) + struct.pack("<Q", 2**63)), items=1),
            "header that reaches",
        ),
        (header(*[entry(b"k", 0, b"\1")] * 2, items=2), "the key 'k' twice"),
        (
            header(entry(b"general.alignment", 4, struct.pack("<I", 0)), items=1),
            "alignment of 0",
        ),
        (header(entry(b"general.alignment", 4, struct.pack("<I", 12)), items=1), "alignment"),
        (header(entry(b"general.alignment", 8, text(b"32")), items=1), "alignment of '32'"),
        (header(entry(b"general.alignment", 10, struct.pack("<Q", 2**63)), items=1), "alignment"),
        (header(tensor(TABLE, ()), tensors=1), "0 dimensions"),
        (header(text(TABLE) + struct.pack("<I", 2**31), tensors=1), "dimensions"),
        (header(tensor(TABLE, (0, 4)), tensors=1), "shape"),
        (header(tensor(TABLE, (2**32, 2**32)), bytes(64), tensors=1), "up to byte"),
        (header(tensor(TABLE, (4, 4), offset=2**63), bytes(64), tensors=1), "at byte"),
        (header(tensor(TABLE, (4, 4), offset=7), bytes(128), tensors=1), "at byte"),
        (header(tensor(TABLE, (33, 2), kind=8), bytes(256), tensors=1), "cut into blocks"),
        (header(*[tensor(TABLE, (4, 4))] * 2, bytes(256), tensors=2), "twice"),
        (
            header(tensor(b"a", (4, 4)), tensor(TABLE, (4, 4)), bytes(256), tensors=2),
            "that overlap",
        ),
        (header(tensor(TABLE, (4, 4), kind=77), bytes(256), tensors=1), "ggml type 77"),
        (header(tensor(TABLE, (4, 4)), bytes(10), tensors=1), "at byte|up to byte"),
        (header(tensor(TABLE, (8,)), bytes(128), tensors=1), "not .V, H."),
    ],
)
def test_a_hostile_file_ends_in_one_line(data, words, tmp_path):
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(ModelNotFoundError, match=words) as said:
        load_vocabulary(tmp_path / "m.gguf")
    assert "\n" not in str(said.value) and len(str(said.value)) < 500


def test_a_header_beyond_its_bound_is_refused_without_being_read(tmp_path):
    with (tmp_path / "m.gguf").open("wb") as sparse:
        sparse.write(header(struct.pack("<Q", 2**33), items=1))
        sparse.truncate(2**34)
    with pytest.raises(ModelNotFoundError, match="header that reaches"):
        load_vocabulary(tmp_path / "m.gguf")


def test_a_file_cut_anywhere_is_one_clear_error(file):
    whole = file.read_bytes()
    for length in [*range(0, 400, 7), *range(400, len(whole), len(whole) // 40)]:
        file.write_bytes(whole[:length])
        with pytest.raises(ModelNotFoundError, match="damaged|starts with"):
            load_vocabulary(file)


def test_a_damaged_file_never_raises_anything_else(file, monkeypatch, tmp_path):
    whole, chance = file.read_bytes(), random.Random(0)
    start = whole.index(b"token_embd.weight") + 100
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(start)] = chance.randrange(256)
        file.write_bytes(damaged)
        try:
            load_vocabulary(file).encode("a soft prompt")
        except ModelNotFoundError as error:
            refused += 1
            assert "\n" not in str(error)
        except ValueError as error:  # a vocabulary that lost its tokenizer
            assert "no tokenizer" in str(error)
    assert refused > 50


def test_tokens_that_are_no_text_are_read_all_the_same(tmp_path):
    tokens = [b"\xff\xfe", b"ok", b"\xed\xa0\x80"]
    array = struct.pack("<IQ", 8, 3) + b"".join(map(text, tokens))
    data = header(
        entry(b"tokenizer.ggml.model", 8, text(b"gpt2")),
        entry(b"tokenizer.ggml.tokens", 9, array),
        tensor(TABLE, (8, 3)),
        tensors=1,
        items=2,
    )
    padded = data + bytes(-len(data) % 32) + bytes(4 * 24)
    (tmp_path / "m.gguf").write_bytes(padded)
    found = load_vocabulary(tmp_path / "m.gguf")
    assert found.tokens[1] == "ok"
    assert len(set(found.tokens)) == 3


@pytest.mark.process
def test_damaged_files_end_in_a_vocabulary_a_model_or_one_line():
    """A few of the fuzzer's cases; `make bench` runs five thousand."""
    fuzzer = subprocess.run(
        [sys.executable, "benchmarks/fuzz_gguf.py", "--cases", "100", "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        cwd=Path(__file__).parents[2],
    )
    assert fuzzer.returncode == 0, fuzzer.stderr[-2000:]
    assert "100 cases, seed 7: 0 failures" in fuzzer.stdout
