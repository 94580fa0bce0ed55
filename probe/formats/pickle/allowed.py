"""The names a pickle may ask for, and what stands for each: never Python's own, always data."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from probe.errors import PromptFormatError
from probe.formats.containers.dtypes import RAW, Layout
from probe.formats.pickle.machine import Allowance, Call, checked_key
from probe.formats.pickle.values import (
    Attributes,
    NumpyArray,
    NumpyType,
    Storage,
    Symbol,
    Tensor,
    numpy_array,
)

Args = tuple[Any, ...]

STORAGE_DTYPES: Mapping[str, str] = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
"""Names of torch's storage classes, and the dtype of each as a key of `RAW`."""
_ENCODINGS = {"latin1", "latin-1", "utf-8", "utf8", "ascii"}


def _tensor(args: Args, _: Allowance) -> Tensor:
    """`_rebuild_tensor(storage, storage_offset, size, stride)`, torch/_utils.py.

    Version 2 adds requires_grad, hooks and metadata; version 3 a dtype after the hooks.
    """
    match args:
        case (Storage() as storage, offset, tuple(shape), tuple(strides), *more):
            dtype = storage.dtype
            if len(more) > 2 and more[-1] in (None, {}):  # a pattern `{}` takes any mapping
                more = more[:-1]
            match more:
                case [] | [_, _]:
                    pass
                case [_, _, Symbol("torch", name)]:
                    if (dtype := name) not in RAW:
                        raise PromptFormatError(
                            f"expected a tensor of real numbers, found one of torch.{name}"
                        )
                case _:
                    raise PromptFormatError("a tensor with marks of a complex tensor")
            return Tensor(storage, Layout(dtype, shape, strides, offset, storage.big_endian))
    raise PromptFormatError("the pickle is damaged: a tensor without storage, size and stride")


def _first(args: Args, _: Allowance) -> object:
    """A parameter is its tensor."""
    if not args or not isinstance(args[0], Tensor | NumpyArray | Storage):
        raise PromptFormatError("the pickle is damaged: a parameter without a tensor")
    return args[0]


def _from_type(args: Args, allowance: Allowance) -> object:
    """`_rebuild_from_type_v2(func, new_type, args, state)`, torch/_tensor.py."""
    match args:
        case (Symbol() as function, Symbol(), tuple(inner), *_):
            rebuild = _TENSORS.get(function)
            if rebuild:
                return rebuild(inner, allowance)
    raise PromptFormatError("the pickle is damaged: a tensor subclass without a tensor")


def _nested(args: Args, allowance: Allowance) -> object:
    """`torch.storage._load_from_bytes`: another pickle, in torch's legacy layout, never a zip."""
    match args:
        case (bytes(data),) if allowance.nesting > 0 and not data.startswith(b"PK"):
            allowance.nesting -= 1
            value = allowance.load(data, allowance)
            allowance.nesting += 1
            return value
    raise PromptFormatError("the pickle nests pickles deeper than any tensor does")


def _size(args: Args, _: Allowance) -> tuple[Any, ...]:
    match args:
        case (list(lengths) | tuple(lengths),):
            return tuple(lengths)
    return ()


def _text(args: Args, _: Allowance) -> str:
    """`torch.device("cuda", 0)` as `cuda:0`."""
    return ":".join(str(part)[:20] for part in args[:2] if isinstance(part, str | int))


def _path(args: Args, allowance: Allowance) -> str:
    """`pathlib.PosixPath("/", "data", "x")` as `/data/x`."""
    path = posixpath.join("", *(part[:1000] for part in args[:100] if isinstance(part, str)))
    allowance.budget.take(len(path), "the pickle")
    return path


def _dict(args: Args, _: Allowance) -> dict[Any, Any]:
    """`dict`, `OrderedDict` and `Counter`, of nothing, of pairs or of a dict."""
    match args:
        case (dict(items),):
            return dict(items)
        case (list(pairs) | tuple(pairs),):
            return {checked_key(key): value for key, value in _pairs(pairs)}
    return {}


def _pairs(pairs: Iterable[Any]) -> Iterable[tuple[Any, Any]]:
    for pair in pairs:
        match pair:
            case [key, value]:
                yield key, value
            case _:
                raise PromptFormatError("the pickle is damaged: a dict of no pairs")


def _attributes(_: Args, __: Allowance) -> Attributes:
    """A record without attributes yet; they come as its state."""
    return Attributes()


def _reconstructed(args: Args, _: Allowance) -> Attributes:
    """`copyreg._reconstructor(class, object, None)`, as old protocols make records."""
    match args:
        case (Symbol() as kind, Symbol("builtins", "object"), None) if kind in _RECORDS:
            return Attributes()
    raise PromptFormatError("the pickle rebuilds an object; probe reads only plain containers")


def _set(args: Args, _: Allowance) -> set[Any]:
    match args:
        case (list(items) | tuple(items) | set(items) | frozenset(items),):
            return {checked_key(item) for item in items}
    return set()


def _type_of_dill(args: Args, _: Allowance) -> Symbol:
    """`dill._dill._load_type(name)`, by which dill names builtin types."""
    match args:
        case (str(name),) if name in _BUILTINS:
            return Symbol("builtins", name)
        case (str(name),):
            raise PromptFormatError(
                f"the pickle asks for dill's type {ascii(name[:80])}; probe reads only tensors and "
                "plain containers and ran nothing"
            )
    raise PromptFormatError("the pickle is damaged: a type of dill's without a name")


def _bytes(args: Args, allowance: Allowance) -> bytes:
    """`bytes`, `bytearray` and `_codecs.encode`, of bytes or of a text and its encoding."""
    match args:
        case (bytes(data),):
            return data
        case (str(text), str(encoding)) if encoding in _ENCODINGS:
            allowance.budget.take(len(text), "the pickle")
            return text.encode(encoding)
        case ():
            return b""
    raise PromptFormatError("the pickle is damaged: bytes of no text")


def _complex(args: Args, _: Allowance) -> complex:
    match args:
        case (int() | float() as real, int() | float() as imaginary):
            return complex(real, imaginary)
    raise PromptFormatError("the pickle is damaged: a complex number of no numbers")


def _numpy_empty(args: Args, _: Allowance) -> NumpyArray:
    """`numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b"b")`: the state comes later."""
    if args[:1] != (Symbol("numpy", "ndarray"),):
        raise PromptFormatError("expected a numpy array, found a subclass of one")
    return NumpyArray()


def _numpy_type(args: Args, _: Allowance) -> NumpyType:
    """`numpy.dtype(code, align, copy)`."""
    match args:
        case (str(code), *_) if len(code) < 20:
            return NumpyType(code.lstrip("<>|="), big_endian=code.startswith(">"))
    raise PromptFormatError("expected arrays of numbers, found one of structures")


def _numpy_scalar(args: Args, allowance: Allowance) -> object:
    """`numpy.core.multiarray.scalar(dtype, bytes)` as a Python number."""
    match args:
        case (NumpyType() as dtype, (bytes() | str()) as data):
            array = numpy_array(data, dtype, (), fortran=False, budget=allowance.budget)
            return array.item()
    raise PromptFormatError("expected a number, found a numpy scalar of another kind")


def _numpy_buffer(args: Args, allowance: Allowance) -> NumpyArray:
    """`numpy.core.numeric._frombuffer(buffer, dtype, shape, order)`."""
    match args:
        case (bytes(data), NumpyType() as dtype, tuple(shape), ("C" | "F") as order):
            return NumpyArray(
                numpy_array(data, dtype, shape, fortran=order == "F", budget=allowance.budget)
            )
    raise PromptFormatError("expected a numpy array of plain numbers")


def _names(table: Mapping[str, Call | None]) -> dict[Symbol, Call | None]:
    """Symbols of dotted names."""
    return {Symbol(*name.rsplit(".", 1)): call for name, call in table.items()}


_TENSORS: dict[Symbol, Call] = {
    Symbol("torch._utils", "_rebuild_tensor"): _tensor,
    Symbol("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Symbol("torch._utils", "_rebuild_tensor_v3"): _tensor,
    Symbol("torch._utils", "_rebuild_parameter"): _first,
    Symbol("torch._utils", "_rebuild_parameter_with_state"): _first,
    Symbol("torch._utils", "_rebuild_device_tensor_from_numpy"): _first,
    Symbol("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _first,
}
_RECORDS = {
    Symbol("argparse", "Namespace"): _attributes,
    Symbol("types", "SimpleNamespace"): _attributes,
    Symbol("torch.nn.modules.container", "ParameterDict"): _attributes,
}
_BUILTINS: dict[str, Call | None] = {
    **dict.fromkeys(("object", "dict", "list", "tuple", "int", "float", "str", "bool"), None),
    **dict.fromkeys(("bytes", "bytearray"), _bytes),
    "complex": _complex,
    "set": _set,
    "frozenset": lambda args, allowance: frozenset(_set(args, allowance)),
}
_STORAGES = ("torch", "torch.cuda", "torch.storage")
_CORES = ("numpy.core", "numpy._core")
_PATHS = ("Path", "PosixPath", "WindowsPath")

NAMES: Mapping[Symbol, Call | None] = {
    **_TENSORS,
    **_RECORDS,
    **_names(
        {
            "torch._tensor._rebuild_from_type_v2": _from_type,
            "torch.nn.parameter.Parameter": _first,
            "torch.storage._load_from_bytes": _nested,
            "torch.Size": _size,
            "torch.device": _text,
            "collections.OrderedDict": _dict,
            "collections.Counter": _dict,
            # Its first argument is a factory, which is never called.
            "collections.defaultdict": lambda args, allowance: _dict(args[1:], allowance),
            "copyreg._reconstructor": _reconstructed,
            "_codecs.encode": _bytes,
            "numpy.dtype": _numpy_type,
            "dill._dill._load_type": _type_of_dill,
            "dill.dill._load_type": _type_of_dill,
        }
    ),
    **_names({f"{core}.multiarray._reconstruct": _numpy_empty for core in _CORES}),
    **_names({f"{core}.multiarray.scalar": _numpy_scalar for core in _CORES}),
    **_names({f"{core}.numeric._frombuffer": _numpy_buffer for core in _CORES}),
    **_names(
        {
            f"{module}.{kind}{name}": _path
            for kind in ("", "Pure")
            for name in _PATHS
            for module in ("pathlib", "pathlib._local")
        }
    ),  # as Python 3.13 calls it
    **_names({f"torch.{name}": None for name in RAW}),
    **_names({f"{module}.{name}": None for name in STORAGE_DTYPES for module in _STORAGES}),
    **_names({f"builtins.{name}": call for name, call in _BUILTINS.items()}),
    **_names({"torch.Tensor": None, "numpy.ndarray": None}),
}
"""Every name that is allowed, with what happens when a pickle calls it; None: it cannot."""
