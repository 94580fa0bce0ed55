"""Pickles that would run something, and pickles that would never end, in every torch layout."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

Pickled = tuple[str, bytes]

ASKED_FOR = (
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("os", "execv"),
    ("subprocess", "Popen"),
    ("subprocess", "check_output"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "__import__"),
    ("builtins", "getattr"),
    ("builtins", "compile"),
    ("builtins", "open"),
    ("builtins", "breakpoint"),
    ("builtins", "map"),
    ("__builtin__", "eval"),
    ("importlib", "import_module"),
    ("runpy", "run_path"),
    ("runpy", "_run_code"),
    ("pickle", "loads"),
    ("_pickle", "loads"),
    ("torch", "load"),
    ("torch.serialization", "load"),
    ("torch.hub", "load"),
    ("torch.jit", "load"),
    ("functools", "partial"),
    ("functools", "reduce"),
    ("operator", "attrgetter"),
    ("operator", "methodcaller"),
    ("types", "FunctionType"),
    ("types", "CodeType"),
    ("marshal", "loads"),
    ("ctypes", "CDLL"),
    ("socket", "create_connection"),
    ("urllib.request", "urlopen"),
    ("webbrowser", "open"),
    ("shutil", "rmtree"),
    ("codecs", "decode"),
    ("_codecs", "decode"),
    ("numpy", "load"),
    ("numpy", "frombuffer"),
    ("numpy.testing._private.utils", "runstring"),
    ("numpy.f2py.crackfortran", "myeval"),
    ("numpy.random._pickle", "__randomstate_ctor"),
    ("dill._dill", "_create_function"),
    ("dill._dill", "_create_type"),
    ("dill._dill", "_create_code"),
    ("dill._dill", "_load_type"),
    ("dill._dill", "_import_module"),
    ("cloudpickle.cloudpickle", "_make_function"),
    ("timeit", "timeit"),
    ("pdb", "run"),
    ("cProfile", "run"),
    ("code", "interact"),
    ("pydoc", "pipepager"),
    ("multiprocessing.util", "spawnv_passfds"),
    ("logging.config", "listen"),
    ("asyncio.unix_events", "_UnixSelectorEventLoop"),
    ("pip", "main"),
    ("copyreg", "add_extension"),
    ("torch._utils", "_rebuild_wrapper_subclass"),
    ("torch._utils", "_rebuild_sparse_tensor"),
    ("torch._utils", "_rebuild_qtensor"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"),
    ("collections", "abc.sys.exit"),  # attributes of allowed modules, walked by dots
    ("argparse", "_os.system"),
    ("pathlib", "os.system"),
    ("torch", "serialization.os.system"),
    ("builtins", "object.__subclasses__"),
    ("numpy", "ndarray.tofile"),
)
"""Names that no prompt needs; each is called with the canary's path."""


class Calls:
    """An object that any real unpickler turns into a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def live(canary: Path) -> Iterator[tuple[str, Calls]]:
    """Gadgets that pickle.loads would run here: each writes the canary."""
    import os
    import runpy
    import subprocess

    script = f"open({str(canary)!r}, 'w').close()"
    yield "os.system", Calls(os.system, f"touch {canary}")
    yield "subprocess.check_output", Calls(subprocess.check_output, ["touch", str(canary)])
    yield "eval", Calls(eval, script)
    yield "exec", Calls(exec, script)
    yield "open", Calls(open, str(canary), "w")
    yield "nested pickle.loads", Calls(pickle.loads, pickle.dumps(Calls(exec, script)))
    yield "runpy", Calls(runpy._run_code, script, {})


def call(module: str, name: str, *arguments: object) -> bytes:
    """A pickle that calls a name, made without importing it."""
    return b"\x80\x02" + name_of(module, name) + inner(arguments) + b"R."


def name_of(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def inner(value: object, protocol: int = 2) -> bytes:
    """The instructions that leave a value on the stack and use no memo."""
    return pickletools.optimize(pickle.dumps(value, protocol))[2:-1]


def gadgets(canary: Path) -> Iterator[Pickled]:
    """Every family of gadgets as a plain pickle."""
    for name, gadget in live(canary):
        for protocol in (0, 2, 4):
            yield f"{name} protocol {protocol}", pickle.dumps(gadget, protocol)
    for module, name in ASKED_FOR:
        yield f"{module}.{name}", call(module, name, f"touch {canary}")
    yield from _spellings(f"touch {canary}")


def _spellings(command: str) -> Iterator[Pickled]:
    """os.system asked for in every way the format has, or smuggled past allowed names."""
    system, argument = name_of("os", "system"), inner(command)
    text = b"\x8c\x02os\x94\x8c\x06system\x94"
    namespace = name_of("argparse", "Namespace") + b")\x81"
    yield "STACK_GLOBAL", b"\x80\x04" + text + b"\x93" + argument + b"\x85R."
    yield "STACK_GLOBAL by memo", b"\x80\x04" + text + b"00h\x00h\x01\x93" + argument + b"\x85R."
    yield "INST", f"(S'{command}'\nios\nsystem\n.".encode()
    yield "OBJ", b"(" + system + argument + b"o."
    yield "NEWOBJ", b"\x80\x02" + system + argument + b"\x85\x81."
    yield "NEWOBJ_EX", b"\x80\x04" + name_of("argparse", "Namespace") + b")}\x92."
    yield "EXT1", b"\x80\x02\x82\x01" + argument + b"\x85R."
    yield "EXT2", b"\x80\x02\x83\x01\x01" + argument + b"\x85R."
    yield "EXT4", b"\x80\x02\x84\x01\x01\x01\x00" + argument + b"\x85R."
    yield "PERSID", f"Pos.system\n{command}\n.".encode()
    yield "BINPERSID of a call", b"\x80\x02" + system + argument + b"\x85\x86Q."
    yield "NEXT_BUFFER", b"\x80\x05\x97\x98."
    state = b"}" + inner("__setstate__") + system + b"s"
    yield "BUILD of __setstate__", b"\x80\x02" + namespace + state + b"b" + argument + b"b."
    yield "BUILD of __class__", b"\x80\x02" + namespace + inner({"__class__": 1}) + b"b."
    yield "BUILD of a name", b"\x80\x02" + name_of("torch", "Size") + inner({"a": 1}) + b"b."
    ordered = name_of("collections", "OrderedDict")
    yield "BUILD of a dict's methods", b"\x80\x02" + ordered + b")R" + state + b"b."
    factory = name_of("collections", "defaultdict") + system + b"\x85R."
    yield "defaultdict factory", b"\x80\x02" + factory
    of_type = name_of("torch._tensor", "_rebuild_from_type_v2")
    smuggled = system + name_of("torch", "Tensor") + argument + b"\x85N"
    yield "_rebuild_from_type_v2", b"\x80\x02" + of_type + b"(" + smuggled + b"tR."
    allowed = name_of("torch", "Size") + name_of("torch", "Tensor") + b"))tR."
    yield "_rebuild_from_type_v2 of no tensor", b"\x80\x02" + of_type + b"(" + allowed
    yield "call of a dtype", call("torch", "float32", command)
    yield "call of a storage class", call("torch", "FloatStorage", 2**60)
    yield "call of a text", b"\x80\x02" + inner("os.system") + argument + b"\x85R."
    yield "codec with effects", call("_codecs", "encode", command, "zip")
    yield "reconstructor", call("copyreg", "_reconstructor", command, object, None)
    yield "numpy.dtype of objects", call("numpy", "dtype", "O8", False, True)
    yield "array of objects", pickle.dumps(np.array([{"a": 1}], object), 4)
    yield "array of records", pickle.dumps(np.zeros(3, [("a", "<f4")]), 2)
    yield "array of texts", pickle.dumps(np.array(["a", "b"]), 4)
    yield "array shorter than it says", pickle.dumps(np.ones(300), 2).replace(b"M,\x01", b"M-\x01")
    zipped = in_zip(b"\x80\x02N.")
    yield (
        "_load_from_bytes of a zip",
        b"\x80\x03"
        + name_of("torch.storage", "_load_from_bytes")
        + b"B"
        + struct.pack("<I", len(zipped))
        + zipped
        + b"\x85R.",
    )
    yield "bytes of a number", call("builtins", "bytearray", 2**40)


def endless() -> Iterator[Pickled]:
    """Pickles that would take all memory or all time."""
    yield "integer of 2^31 bytes", b"\x80\x02\x8b\xff\xff\xff\x7f1."
    yield "integer of a million digits", b"I" + b"9" * 1_000_000 + b"\n."
    yield "long of a million digits", b"L" + b"9" * 1_000_000 + b"L\n."
    yield "text of 2^60 bytes", b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"a."
    yield "bytes of 2^60 bytes", b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"a."
    yield "frame of 2^60 bytes", b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N."
    yield "memo of 2^32 places", b"\x80\x02]r\xff\xff\xff\xff."
    yield "two million instructions", b"\x80\x02" + b"N0" * 1_000_000 + b"N."
    yield "400,000 empty sets", b"\x80\x04" + b"(" + b"\x8f" * 399_000 + b"l."
    yield "float of a million digits", b"F" + b"9" * 1_000_000 + b"\n."
    yield "text of unknown escapes", b"S'\\q'\n."
    deep = b"]" * 50_000 + b"a" * 49_999
    yield (
        "deep list where a name is due",
        b"\x80\x02" + name_of("dill._dill", "_load_type") + deep + b"\x85R.",
    )
    yield "deep list where a size is due", b"\x80\x02" + name_of("torch", "Size") + deep + b"\x85R."
    yield "a line that never ends", b"\x80\x02V" + b"a" * 17_000_000
    yield (
        "text four times as wide",
        b"\x80\x02X" + struct.pack("<I", 17_000_000) + b"a" * 17_000_000,
    )
    wide = b"X" + struct.pack("<I", 8_000_004) + "😀".encode() + b"a" * 8_000_000
    yield "wide texts in a row", b"\x80\x02(" + wide * 5 + b"l."
    yield "nested 200,000 deep", b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    yield "a billion laughs", b"\x80\x02" + _doubled(b"]", b"a", b"a", 60)
    yield "a billion laughs of dicts", b"\x80\x02" + _laughing_dicts(60)
    yield "contains itself", b"\x80\x02]q\x00h\x00a."
    yield "dict that contains itself", b"\x80\x02}q\x00" + inner("a") + b"h\x00s."
    colliding = b"".join(inner(k * (2**61 - 1)) + b"N" for k in range(1, 30_000))
    yield "keys that hash alike", b"\x80\x02}(" + colliding + b"u."
    yield "tuples as keys", b"\x80\x02}(" + inner((1, 2)) + b"Nu."
    yield "one list made a set 40,000 times", _repeated("builtins", "set", list(range(90_000)))
    yield (
        "one dict copied 40,000 times",
        _repeated("collections", "OrderedDict", dict.fromkeys(range(40_000))),
    )
    yield "one text encoded 40,000 times", _repeated("_codecs", "encode", "a" * 1_000_000, "ascii")
    yield "one path joined 40,000 times", _repeated("pathlib", "PosixPath", "a/" * 1_000_000)


def _doubled(empty: bytes, first: bytes, second: bytes, levels: int) -> bytes:
    """Containers that hold the one before them twice."""
    start = empty + b"q\x00"
    step = b"0" + empty + b"h\x00" + first + b"h\x00" + second + b"q\x00"
    return start + step * levels + b"."


def _laughing_dicts(levels: int) -> bytes:
    step = b"0}" + inner("a") + b"h\x00s" + inner("b") + b"h\x00sq\x00"
    return b"}q\x00" + step * levels + b"."


def _repeated(module: str, name: str, *arguments: object) -> bytes:
    prepared = inner(arguments) + b"r\x00\x00\x01\x000"
    function = name_of(module, name) + b"r\x01\x00\x01\x000"
    return (
        b"\x80\x02" + prepared + function + b"j\x01\x00\x01\x00j\x00\x00\x01\x00R0" * 40_000 + b"N."
    )


def in_zip(pickled: bytes, **storages: bytes) -> bytes:
    """A pickle in the zip layout of torch.save."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, numbers in storages.items():
            archive.writestr(f"archive/data/{key.removeprefix('_')}", numbers)
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def in_legacy(pickled: bytes, after: bytes | None = None) -> bytes:
    """A pickle in the layout torch.save had before zip files."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    tail = pickle.dumps([], 2) if after is None else after
    return b"".join(pickle.dumps(value, 2) for value in head) + pickled + tail


def nested(pickled: bytes, levels: int = 1) -> bytes:
    """A pickle in the bytes that `torch.storage._load_from_bytes` would open."""
    load = name_of("torch.storage", "_load_from_bytes")
    for _ in range(levels):
        argument = b"B" + struct.pack("<I", len(pickled)) + pickled
        pickled = b"\x80\x03" + load + argument + b"\x85R."
    return pickled


def saved(value: object, *, zipped: bool = True) -> bytes:
    """What torch.save writes."""
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()
