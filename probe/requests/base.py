"""What a verb is asked, as one frozen value: the source of arguments, options, help and documents.

A request is a dataclass. The docstring under a field is its help, `Annotated[…, Option(…)]` says
what a command line has to know besides. Nothing here imports numpy or torch.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import os
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from probe.errors import ProbeError
from probe.texts import did_you_mean

Completion = Literal["prompt", "workspace_prompt", "model", "task", "run", "measure", "layout"]
P = ParamSpec("P")
Q = TypeVar("Q", bound="Request")
R = TypeVar("R", covariant=True)
S = TypeVar("S", bound="Request", contravariant=True)
_FIELDS: dict[type[Any], tuple[Field, ...]] = {}


@dataclass(frozen=True)
class Option:
    """How a field is spelled on a command line, and which values it takes."""

    flag: str | None = None
    """Its spellings where it is not `--field-name`: `-k --k`, or `--yes/--no`."""
    positional: bool = False
    required: bool = False
    """Asked for by the command; in Python the request says itself what is missing."""
    metavar: str | None = None
    minimum: float | None = None
    complete: Completion | None = None
    """What a shell offers after a tab; names of a registry are also the only ones taken."""
    parse: Callable[[str], Any] | None = None
    """A value, or several, of one word of the command line."""
    fields_of: type[Any] | None = None
    """A dataclass whose fields are options too; the field is a mapping of those that are given."""
    shown: bool = True
    """False: of Python only."""


@dataclass(frozen=True)
class Field:
    """One field of a request with all that is known of it."""

    name: str
    kind: Any
    """Its type, without None and without notes."""
    several: bool
    """A tuple: a command line repeats the option."""
    optional: bool
    """May be None."""
    default: Any
    help: str
    option: Option

    @property
    def flag(self) -> str:
        """The option, such as `--batch-size`."""
        return self.flags[0].split("/")[0]

    @property
    def flags(self) -> list[str]:
        """All its spellings, as typer reads them."""
        return (self.option.flag or f"--{self.name.replace('_', '-')}").split()

    @property
    def choices(self) -> tuple[Any, ...]:
        """All values it can have; empty where they are not listed."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()


class RequestError(ProbeError, ValueError):
    """A request asks for what cannot be; `field` says where."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one verb is asked."""

    __pydantic_config__: ClassVar[Any] = {"arbitrary_types_allowed": True}

    workspace: Annotated[str | os.PathLike[str] | None, Option(shown=False)] = None
    """Folder of the prompts, runs and cache, or the `Workspace`; the default one when None."""

    def __post_init__(self) -> None:
        """Take one value for several, and check every field.

        Raises:
            RequestError: a field is out of its range, or two contradict each other.
        """
        for field in fields_of(type(self)):
            value = getattr(self, field.name)
            value = self.spread(field, _as_tuple(field, value)) if field.several else value
            taken = tuple(self.take(field, one) for one in (value if field.several else (value,)))
            object.__setattr__(self, field.name, taken if field.several else taken[0])
            for one in taken:
                _check(field, one)
        self.check()

    def spread(self, field: Field, values: tuple[Any, ...]) -> tuple[Any, ...]:  # noqa: ARG002
        """Several values of a field, where one of those given may stand for many."""
        return values

    def take(self, field: Field, value: Any) -> Any:
        """One value of a field as verbs read it; this one has prompts and models named.

        Raises:
            RequestError: a prompt or a model is an object in memory.
        """
        if field.option.complete in ("prompt", "model") and is_object(value):
            raise RequestError(
                f"{field.name} must be a name or a place here, found a {type(value).__name__} in "
                "memory: save it, as with save_pretrained, and give its folder",
                field.name,
            )
        return value

    def check(self) -> None:
        """Check what fields mean together.

        Raises:
            RequestError: two of them contradict each other.
        """


def fields_of(request: type[Any]) -> tuple[Field, ...]:
    """The fields of a request: as Python takes them, then its own, then those others have too."""
    if request not in _FIELDS:
        _FIELDS[request] = tuple(_read_fields(request))
    return _FIELDS[request]


def _read_fields(request: type[Any]) -> Iterator[Field]:
    hints = get_type_hints(request, include_extras=True)
    words: dict[str, str] = {}
    order = [field.name for field in dataclasses.fields(request) if not field.kw_only]
    for owner in request.__mro__:
        if dataclasses.is_dataclass(owner):
            words = _field_docstrings(owner) | words
            order += [name for name in vars(owner).get("__annotations__", {}) if name not in order]
    known = {field.name: field for field in dataclasses.fields(request)}
    return (_field(known[name], hints[name], words[name]) for name in order if name in known)


def help_of(request: type[Any], name: str) -> str:
    """What a field is for, as a form says it too."""
    return next(field.help for field in fields_of(request) if field.name == name)


def options_of(request: type[Any]) -> Iterator[Field]:
    """The fields that a command line shows."""
    return (field for field in fields_of(request) if field.option.shown)


class Verb(Protocol[P, S, R]):
    """A function that takes the fields of its request, or the request itself."""

    @overload
    def __call__(self, request: S, /) -> R: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...


def takes(request: Callable[P, Q]) -> Callable[[Callable[[Q], R]], Verb[P, Q, R]]:
    """A verb as a function that takes the fields of its request, or the request itself."""
    kind = cast(type[Q], request)

    def decorate(run: Callable[[Q], R]) -> Verb[P, Q, R]:
        @functools.wraps(run)
        def call(*given: Any, **named: Any) -> R:
            if len(given) == 1 and isinstance(given[0], kind) and not named:
                return run(given[0])
            most = sum(not field.kw_only for field in dataclasses.fields(cast(Any, kind)))
            if len(given) > most:
                raise TypeError(
                    f"{run.__name__}() takes at most {most} arguments without names, found "
                    f"{len(given)}: name the others, as model=… or tokenizer=…"
                )
            return run(kind(*given, **_by_field(kind, named, run.__name__)))

        vars(call)["__signature__"] = _signature(run, kind)
        vars(call)["request"] = kind
        call.__doc__ = _documented(run.__doc__ or "", kind)
        return cast(Verb[P, Q, R], call)

    return decorate


def _by_field(request: type[Any], named: dict[str, Any], verb: str) -> dict[str, Any]:
    """Arguments by name; those of an inner dataclass are gathered in its field."""
    own = {field.name for field in fields_of(request)}
    found = {name: value for name, value in named.items() if name in own}
    rest = {name: value for name, value in named.items() if name not in own}
    for field in fields_of(request):
        if rest and field.option.fields_of is not None:
            return found | {field.name: {**(found.get(field.name) or {}), **rest}}
    for name in rest:
        raise TypeError(f"{verb}() has no argument {name!r}{did_you_mean(name, own)}")
    return found


def _signature(run: Callable[..., Any], request: type[Any]) -> inspect.Signature:
    """The request's fields as parameters, its own before those it shares with others."""
    taken = inspect.signature(request).parameters
    shown = [taken[field.name] for field in fields_of(request)]
    return inspect.Signature(shown, return_annotation=inspect.signature(run).return_annotation)


def _documented(doc: str, request: type[Any]) -> str:
    lines = [f"    {field.name}: {field.help}" for field in fields_of(request)]
    head, _, tail = inspect.cleandoc(doc).partition("\n\n")
    return "\n".join([head, "", "Args:", *lines, *(["", tail] if tail else [])])


def _field(field: dataclasses.Field[Any], hint: Any, words: str) -> Field:
    option = Option()
    if get_origin(hint) is Annotated:
        hint, *notes = get_args(hint)
        option = next((note for note in notes if isinstance(note, Option)), option)
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        option = dataclasses.replace(option, required=True)
    kind = _single(hint)
    several = get_origin(kind) is tuple
    return Field(
        name=field.name,
        kind=_single(get_args(kind)[0]) if several else kind,
        several=several,
        optional=types.NoneType in get_args(hint),
        default=None if field.default is dataclasses.MISSING else field.default,
        help=words,
        option=option,
    )


def _single(hint: Any) -> Any:
    """A type without None; Any where several are left."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    parts = tuple(part for part in parts if part is not types.NoneType)
    return parts[0] if len(parts) == 1 else Any


def _as_tuple(field: Field, value: Any) -> tuple[Any, ...]:
    """Several values; what is given alone is one, not as many as it has letters or rows.

    An array, a module or a table is one prompt; of texts and words, an array is several and a table
    a mapping per row.
    """
    if value is None:
        return ()
    objects = field.option.complete in ("prompt", "model")
    if not objects and hasattr(value, "columns") and hasattr(value, "to_dict"):
        return tuple(value.to_dict("records"))
    alone = isinstance(value, str | bytes | Path | Mapping) or not hasattr(value, "__iter__")
    one_object = objects and any(hasattr(value, mark) for mark in ("ndim", "state_dict"))
    return (value,) if alone or one_object or dataclasses.is_dataclass(value) else tuple(value)


def is_object(value: object) -> bool:
    """Whether a prompt or a model is neither a name, nor a place, nor a value of ours."""
    named = value is None or isinstance(value, str | os.PathLike)
    return not (named or dataclasses.is_dataclass(value))


def _check(field: Field, value: Any) -> None:
    if value is None:
        if not field.optional:
            raise RequestError(f"{field.name} must be given", field.name)
        return
    if field.choices and value not in field.choices:
        known = [str(choice) for choice in field.choices]
        hint = did_you_mean(str(value), known) if len(known) > 2 else ""
        expected = ", ".join(known)
        raise RequestError(
            f"{field.name} must be one of {expected}, found {value!r}{hint}", field.name
        )
    least = field.option.minimum
    if least is not None and not (isinstance(value, int | float) and value >= least):
        raise RequestError(f"{field.name} must be at least {least:g}, found {value!r}", field.name)


@functools.cache
def _field_docstrings(owner: type[Any]) -> dict[str, str]:
    """The docstring under each field that a class itself declares, on one line."""
    classes = (one for one in _parsed(inspect.getfile(owner)) if isinstance(one, ast.ClassDef))
    body = next(one.body for one in classes if one.name == owner.__name__)
    found = {}
    for field, words in zip(body, body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(words, ast.Expr):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(ast.literal_eval(words.value)).split())
    return found


@functools.cache
def _parsed(file: str) -> list[ast.stmt]:
    return ast.parse(Path(file).read_text(encoding="utf-8")).body
