"""Archives, headers and documents that lie, explode or lead outside."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
import torch
from safetensors.numpy import save as safetensors

from tests.formats.gadgets import in_legacy, in_zip, inner, name_of, saved

HUGE = 2**60
ROWS = np.ones((4, 8), np.float32)
Attack = tuple[str, bytes]


def zip_of(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def koboldai(tensor: bytes, method: int = zipfile.ZIP_LZMA) -> bytes:
    return zip_of(("tensor.npy", tensor), ("meta.json", b"{}"), method=method)


def tensors() -> Iterator[Attack]:
    """Torch files whose tensors are not where, or not what, they say."""
    four = {"_0": bytes(16)}
    yield "tensor of 2^60 rows", in_zip(tensor_of((HUGE, 8), (8, 1)), **four)
    yield "tensor of 2^60 equal rows", in_zip(tensor_of((HUGE, 4), (0, 1)), **four)
    yield "tensor of a billion equal rows", in_zip(tensor_of((2**30, 4), (0, 1)), **four)
    yield "tensor with a negative stride", in_zip(tensor_of((2, 2), (-2, 1)), **four)
    yield "tensor with a negative offset", in_zip(tensor_of((2, 2), (2, 1), -4), **four)
    yield "tensor beyond its storage", in_zip(tensor_of((2, 2), (2, 1), 1), **four)
    yield "tensor of a wrapping stride", in_zip(tensor_of((2, 2), (2**63, 1)), **four)
    yield "tensor of strides for other axes", in_zip(tensor_of((2, 2), (1,)), **four)
    yield "tensor of 64 axes", in_zip(tensor_of((1,) * 64, (1,) * 64), **four)
    yield "tensor of texts as sizes", in_zip(tensor_of(("2", "2"), (2, 1)), **four)
    yield "tensor without storage", in_zip(tensor_of((2, 2), (2, 1)))
    yield "storage shorter than it says", in_zip(tensor_of((2, 2), (2, 1), size=HUGE), **four)
    yield "storage of negative size", in_zip(tensor_of((2, 2), (2, 1), size=-4), **four)
    yield "tensor on the meta device", saved(torch.ones(2, 2, device="meta"))
    yield "sparse tensor", saved(torch.eye(3).to_sparse())
    yield "complex tensor", saved(torch.ones(2, 2, dtype=torch.complex64))
    yield "integer tensor", saved(torch.ones(2, 2, dtype=torch.int64))
    yield "conjugated tensor", saved(torch.ones(2, 2, dtype=torch.complex64).conj())
    yield "negated tensor", saved(torch._neg_view(torch.ones(2, 2)))
    yield "quantised tensor", saved(_quantised())
    yield "whole module", saved(torch.nn.Linear(2, 2))
    yield "whole module, legacy", saved(torch.nn.Linear(2, 2), zipped=False)
    yield "TorchScript", zip_of(("a/data.pkl", b"N."), ("a/constants.pkl", b"N."))
    yield "two pickles in one file", zip_of(("a/data.pkl", b"N."), ("b/data.pkl", b"N."))
    yield "pickle as an LZMA bomb", zip_of(("a/data.pkl", bytes(40_000_000)), method=14)
    yield "overlapping views that add up", in_zip(_many_views(), _0=bytes(2**22))
    shared = torch.ones(1000, 1000)
    for count, name in ((2000, "thousands of"), (32, "large")):
        keys = [f"m{number}.trainable_tokens_delta" for number in range(count)]
        yield f"chosen rows of {name} embeddings", saved(dict.fromkeys(keys, shared))
    legacy = tensor_of((2, 2), (2, 1))
    claim = pickle.dumps(["0"], 2)
    yield "legacy storage of 2^60", in_legacy(legacy, claim + struct.pack("<q", HUGE))
    yield "legacy storage left out", in_legacy(legacy, pickle.dumps([], 2))
    deep = b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."
    yield "legacy version of deep lists", pickle.dumps(0x1950A86A20F9469CFC6C, 2) + deep * 4
    yield "legacy storage of no tensor", in_legacy(b"\x80\x02N.", claim + bytes(100))
    yield "legacy keys repeated", in_legacy(legacy, pickle.dumps(["0"] * 300_000, 2) + bytes(8))


def tensor_of(
    shape: tuple[object, ...], strides: tuple[object, ...], offset: int = 0, size: int = 4
) -> bytes:
    """A pickle of one tensor in storage 0, with any numbers as its geometry."""
    storage = b"(" + inner("storage") + name_of("torch", "FloatStorage")
    storage += inner("0") + inner("cpu") + inner(size) + b"tQ"
    geometry = inner(offset) + inner(shape) + inner(strides) + b"\x89N"
    rebuild = name_of("torch._utils", "_rebuild_tensor_v2")
    return b"\x80\x02" + rebuild + b"(" + storage + geometry + b"tR."


def _many_views() -> bytes:
    one = tensor_of((1000, 1000), (1, 1), size=2**20)[2:-1]
    views = b"".join(one.replace(inner(0), inner(i), 1) if i else one for i in range(1, 200))
    return b"\x80\x02(" + views + b"l."


def _quantised() -> torch.Tensor:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)


def zips() -> Iterator[Attack]:
    """Zip files."""
    good = npy(ROWS)
    for name in ("../tensor.npy", "/tensor.npy", "C:\\tensor.npy", "a/../../tensor.npy", "..\\t"):
        yield f"zip slip {name}", zip_of((name, good), ("tensor.npy", good))
    yield "zip name that hides its end", zip_of(("tensor\u202eypn", good), ("tensor.npy", good))
    yield "zip symlink", zip_of((_with_mode("tensor.npy", stat.S_IFLNK), b"/etc/passwd"))
    yield "zip device", zip_of((_with_mode("tensor.npy", stat.S_IFCHR), good))
    yield "zip with two tensors", _renamed(zip_of(("tensor.npy", good), ("tensor.npz", good)))
    yield "zip encrypted", _patched(zip_of(("tensor.npy", good)), 8, b"\1\0")
    yield "zip of unknown method", _patched(zip_of(("tensor.npy", good)), 10, b"\x63\0")
    for method, kind in ((8, "deflate"), (12, "bzip2"), (14, "LZMA")):
        yield f"{kind} bomb", koboldai(bytes(70_000_000), method)
        yield f"{kind} bomb that hides its size", _shrunk(koboldai(bytes(30_000_000), method))
        yield f"{kind} cut short", _cut_member(koboldai(npy(_noise()), method))
    yield "LZMA window of 4 GB", _wide_window(koboldai(good))
    yield "bombs that share their bytes", _overlapping(100)
    yield "a hundred thousand members", _many_members(100_000)
    yield "zip64 directory of 2^60", _wide_directory(zip_of(("tensor.npy", good)))
    yield "member of 2^60 bytes", _patched(zip_of(("tensor.npy", good)), 24, b"\xfe\xff\xff\xff")
    yield "wrong checksum", zip_of(("tensor.npy", good)).replace(bytes(ROWS[0]), bytes(32), 1)
    yield "zip without directory", zip_of(("tensor.npy", good))[:200]
    yield "zip of a zip of a zip", koboldai(koboldai(koboldai(good)))
    yield "zip of object array", koboldai(npy(np.array([{"a": 1}], object)))
    yield "zip of nothing", zip_of(("readme.txt", b"hello"))


def _noise() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(99, 9))


def _with_mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (mode | 0o777) << 16
    info.create_system = 3
    return info


def _renamed(data: bytes) -> bytes:
    return data.replace(b"tensor.npz", b"tensor.npy")


def _patched(data: bytes, place: int, new: bytes) -> bytes:
    """Change a field of the first directory entry."""
    at = data.index(b"PK\x01\x02") + place
    return data[:at] + new + data[at + len(new) :]


def _shrunk(data: bytes) -> bytes:
    """Say in the directory that the first member is small."""
    return _patched(data, 24, struct.pack("<I", 1000))


def _cut_member(data: bytes) -> bytes:
    at = data.index(b"PK\x01\x02") + 20
    packed = struct.unpack_from("<I", data, at)[0]
    return data[:at] + struct.pack("<I", packed // 2) + data[at + 4 :]


def _wide_window(data: bytes) -> bytes:
    """Claim a dictionary of 4 GB and leave the stream broken behind it."""
    at = data.index(b"\x05\x00\x5d") + 3
    return data[:at] + b"\xff\xff\xff\xff" + b"\xff" * 20 + data[at + 24 :]


def _overlapping(count: int) -> bytes:
    """Directory entries that all point at one member (Fifield 2019)."""
    data = zip_of(("tensor.npy", bytes(1_000_000)), method=8)
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[start:end]
    entries = b"".join(entry.replace(b"tensor", b"%06d" % i) for i in range(count))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(entries), start, 0)
    return data[:start] + entries + tail


def _many_members(count: int) -> bytes:
    data = zip_of(("tensor.npy", b""))
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = data[start:end] * count
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(entries), start, 0)
    return data[:start] + entries + tail


def _wide_directory(data: bytes) -> bytes:
    end = data.index(b"PK\x05\x06")
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, HUGE, HUGE, HUGE, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    return data[:end] + record + locator + data[end:]


def tars() -> Iterator[Attack]:
    """Tar files, as NeMo's are."""
    weights = saved({"prompt_table": {"prompt_table.t.prompt_embeddings.weight": torch.ones(2, 4)}})
    for name in ("../w", "/etc/w", "a/../../w"):
        yield (
            f"tar slip {name}",
            tar_of((name, b"0", weights), ("model_weights.ckpt", b"0", weights)),
        )
    for kind, what in ((b"1", "hard link"), (b"2", "symlink"), (b"3", "device"), (b"6", "fifo")):
        yield f"tar {what}", tar_of(("model_weights.ckpt", kind, b""))
    yield "tar sparse file", tar_of(("model_weights.ckpt", b"S", b""))
    yield "tar repeated member", tar_of(*[("model_weights.ckpt", b"0", weights)] * 2)
    yield "tar of no weights", tar_of(("model_config.yaml", b"0", b"a: 1"))
    yield "tar of another checkpoint", tar_of(("model_weights.ckpt", b"0", saved({"a": 1})))
    yield "tar of a gadget", tar_of(("model_weights.ckpt", b"0", b"cos\nsystem\n."))
    rank = ("mp_rank_{}/model_weights.ckpt", b"0", weights)
    ranks = [(rank[0].format(number), *rank[1:]) for number in range(300)]
    yield "tar of hundreds of ranks", tar_of(*ranks)
    tasks = [f"prompt_table.t{number}.prompt_embeddings.weight" for number in range(200)]
    many = saved({"prompt_table": dict.fromkeys(tasks, torch.ones(1000, 1000))})
    yield "tar of a rank of views that add up", tar_of(("mp_rank_0/model_weights.ckpt", b"0", many))
    yield "gzip bomb", gzip.compress(bytes(300_000_000), 1)
    yield "gzip cut short", gzip.compress(tar_of(("model_weights.ckpt", b"0", weights)))[:-200]
    big = tarfile.TarInfo("model_weights.ckpt")
    big.size = HUGE
    yield "tar member of 2^60", big.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    yield (
        "tar wrong checksum",
        tar_of(("model_weights.ckpt", b"0", weights)).replace(b"00", b"11", 1),
    )
    yield "tar chain of headers", tar_of(*[("x", b"x", b"11 path=abc\n")] * 9000)
    yield (
        "tar header of digits",
        tar_of(("x", b"x", b"1" * 60_000), ("model_weights.ckpt", b"0", b"")),
    )
    yield "tar header of megabytes", tar_of(("x", b"x", b"1" * 9_000_000))
    yield (
        "tar aliases in its config",
        tar_of(("model_weights.ckpt", b"0", weights), ("model_config.yaml", b"0", _yaml_laughs())),
    )
    config = b"a: " + b"[" * 5000
    yield (
        "tar deep config",
        tar_of(("model_weights.ckpt", b"0", weights), ("model_config.yaml", b"0", config)),
    )
    run = b"a: !!python/object/apply:os.system ['true']\nb: *c"
    yield (
        "tar config with a call",
        tar_of(("model_weights.ckpt", b"0", weights), ("model_config.yaml", b"0", run)),
    )


def tar_of(*members: tuple[str, bytes, bytes]) -> bytes:
    blocks = []
    for name, kind, data in members:
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(data)
        blocks += [info.tobuf(tarfile.GNU_FORMAT), data, bytes(-len(data) % 512)]
    return b"".join(blocks) + bytes(1024)


def _yaml_laughs() -> bytes:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 30)]
    return "\n".join(lines).encode()


def headers() -> Iterator[tuple[str, str, bytes]]:
    """npy and safetensors files: name, file name, bytes."""
    f4 = "'descr': '<f4', 'fortran_order': False, "
    texts = {
        "2^60 rows": f"{{{f4}'shape': ({HUGE}, 8), }}",
        "2^60 rows of nothing": f"{{{f4}'shape': ({HUGE}, {HUGE}, 0), }}",
        "negative rows": f"{{{f4}'shape': (-1, 8), }}",
        "no shape": f"{{{f4}}}",
        "code": f"{{{f4}'shape': (__import__('os').system('true'),), }}",
        "deep": "(" * 3000,
        "structures": "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
        "records": "{'descr': 'V64', 'fortran_order': False, 'shape': (2, 2), }",
        "64 axes": f"{{{f4}'shape': ({'1, ' * 64}), }}",
    }
    for name, text in texts.items():
        yield f"npy {name}", "x.npy", _npy_header(text) + bytes(ROWS)
    long = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1)
    yield "npy header of 4 GB", "x.npy", long + b" " * 100
    arrays = {
        "objects": np.array([[{"a": 1}]], object),
        "complex": ROWS.astype(complex),
        "texts": np.array([["a", "b"]]),
        "dates": np.array([["2020-01-01"]], "datetime64[D]"),
        "long doubles": ROWS.astype(np.longdouble),
        "NaN": np.full((2, 2), np.nan, np.float32),
        "infinity": np.full((2, 2), np.inf, np.float32),
        "float64 beyond float32": np.full((2, 2), 1e300),
        "integers": np.ones((2, 2), int),
        "four axes": np.ones((2, 2, 2, 2), np.float32),
        "no rows": np.ones((0, 8), np.float32),
        "no axes": np.float32(1),
    }
    for name, array in arrays.items():
        yield f"npy {name}", "x.npy", npy(array)
    for name, header in _safetensors_headers():
        yield f"safetensors {name}", "x.safetensors", _safetensors(header)
    yield "safetensors header of 2^60", "x.safetensors", struct.pack("<Q", HUGE) + b"{}" + bytes(99)
    yield "safetensors cut short", "x.safetensors", safetensors({"a": ROWS})[:-1]
    yield "safetensors deep", "x.safetensors", _safetensors('{"a":' * 5000)
    yield "safetensors NaN", "x.safetensors", safetensors({"prompt_embeddings": ROWS * np.nan})
    yield "safetensors of integers", "x.safetensors", safetensors({"a": np.ones((2, 2), int)})


def _npy_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _safetensors(header: str) -> bytes:
    return struct.pack("<Q", len(header)) + header.encode() + bytes(128)


def _safetensors_headers() -> Iterator[tuple[str, str]]:
    def one(**changes: object) -> str:
        good = {"dtype": "F32", "shape": [4, 8], "data_offsets": [0, 128]}
        return json.dumps({"a": good | changes})

    yield "2^60 rows", one(shape=[HUGE, 8])
    yield "wrapping rows", one(shape=[2**62, 8, 2])
    yield "negative rows", one(shape=[-4, -8])
    yield "offsets beyond the end", one(data_offsets=[0, HUGE])
    yield "offsets backwards", one(data_offsets=[128, 0])
    yield "offsets of texts", one(data_offsets=["0", "128"])
    yield "hole", one(shape=[2, 8], data_offsets=[64, 128])
    yield "unknown dtype", one(dtype="O")
    yield "complex", one(dtype="C64", shape=[2, 8])
    yield "list for a dtype", one(dtype=["F32"])
    yield "true as a length", one(shape=[True, 32])
    yield (
        "overlap",
        json.dumps({k: {"dtype": "F32", "shape": [4, 8], "data_offsets": [0, 128]} for k in "ab"}),
    )
    yield (
        "metadata of numbers",
        json.dumps(
            {
                "__metadata__": {"a": 1},
                "a": {"dtype": "U8", "shape": [128], "data_offsets": [0, 128]},
            }
        ),
    )
    yield "list as header", "[1, 2, 3]"


def documents() -> Iterator[Attack]:
    """JSON files, as mkultra's are."""
    yield "deep lists", b"[" * 1_000_000
    yield "deep objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "deep inside a prompt", b'{"metadata":{},"tensor":' + b"[" * 100_000 + b"}"
    yield "number of a million digits", b'{"metadata":{"step":' + b"9" * 10**6 + b'},"tensor":""}'
    yield "ten million quotes", b'{"a":' + b'\\"' * 10_000_000
    yield "ten million texts", b"[" + b'"",' * 7_000_000 + b'""]'
    yield "a million lists", b"[" + b"[]," * 1_500_000 + b"[]]"
    yield "not UTF-8", b'{"metadata":{},"tensor":"\xff\xfe"}'
    yield "half a character", b'{"metadata":{"name":"\\ud800"},"tensor":""}'
    yield "tensor is no base64", b'{"metadata":{},"tensor":"!!!"}'
    yield "tensor is a list", b'{"metadata":{},"tensor":[1,2]}'
    yield "tensor is a gadget", _mkultra(b"cos\nsystem\n.")
    yield "tensor is a number", _mkultra(pickle.dumps(1))
    yield "tensor of NaN", _mkultra(pickle.dumps(torch.full((2, 4), torch.nan)))
    yield "other JSON", b'{"a": 1}'


def _mkultra(pickled: bytes) -> bytes:
    import base64

    return json.dumps({"metadata": {}, "tensor": base64.b64encode(pickled).decode()}).encode()


def unknown() -> Iterator[Attack]:
    """Bytes of no known container."""
    yield "nothing", b""
    yield "one byte", b"\x80"
    yield "zeros", bytes(10_000)
    yield "a picture", b"\x89PNG\r\n\x1a\n" + bytes(100)
    yield "bzip2", bz2.compress(npy(ROWS))
    yield "xz", lzma.compress(npy(ROWS))
    yield "zlib", zlib.compress(npy(ROWS))
    yield "HTML", b"<html>404</html>"
    yield "git-lfs pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
