"""Commands that take requests: one option or argument per field, with the field's own words."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer
from typer.main import get_command_from_info
from typer.models import CommandInfo

from probe.cli.completion import COMPLETIONS, NAMED
from probe.requests import Field, Request, RequestError, fields_of, options_of

_Options = dict[str, inspect.Parameter]
_TAKES = {"str": "TEXT", "int": "INTEGER", "float": "FLOAT", "path": "PATH"}
_LISTS = {int: "INTEGER,...", float: "FLOAT,..."}


class _InWords:
    """Says what each option takes in words of a terminal, not of Python."""

    def get_params(self, ctx: Any) -> Any:
        every: list[Any] = list(super().get_params(ctx))  # type: ignore[misc]
        for one in every:
            if one.param_type_name == "argument":
                one.display_type_rich = lambda ctx: ""  # its name says what it takes  # noqa: ARG005
            elif one.metavar is None and not one.is_flag:
                kind = re.sub(r"^<(?:list\[)?(.+?)\]?(?: range)?>$", r"\1", one.display_type(ctx))
                one.metavar = _TAKES.get(kind.lower(), f"<{kind}>")
        return every


class _Group(_InWords, typer.core.TyperGroup):
    pass


class App(typer.Typer):
    """A tree of commands whose options are read when one is asked for: a list goes without."""

    def __init__(self, *, cls: type[typer.core.TyperGroup] = _Group, **said: Any) -> None:
        # Tokens and paths in help and usage errors are text, never markup.
        super().__init__(cls=cls, rich_markup_mode=None, **said)

    def command(self, name: str | None = None, **said: Any) -> Callable[..., Any]:
        """Take a function for a command, as typer does."""
        return super().command(name, cls=_Command, **said)


class _Command(_InWords, typer.core.TyperCommand):
    def __init__(self, **said: Any) -> None:
        super().__init__(**said)
        self._with_options = getattr(self.callback, "with_options", None)
        if self._with_options is not None:
            del self.params, self.callback

    def __getattr__(self, name: str) -> Any:
        if name not in ("params", "callback") or self._with_options is None:
            raise AttributeError(name)
        info = CommandInfo(callback=self._with_options())
        made = get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)
        self.params, self.callback = made.params, made.callback
        return getattr(self, name)


def takes_requests(command: Callable[..., None]) -> Callable[[], None]:
    """What an `App` takes for the command that has the fields of each request as options.

    Args:
        command: its parameters are requests, dataclasses of options of its own, and typer's.
    """

    def named() -> None: ...

    named.__name__, named.__doc__ = command.__name__, command.__doc__
    named.with_options = lambda: _with_options(command)  # type: ignore[attr-defined]
    return named


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    kinds = get_type_hints(command, include_extras=True)
    own = inspect.signature(command, eval_str=True).parameters
    requests = {name: kinds[name] for name in own if dataclasses.is_dataclass(kinds[name])}
    by_request = {name: _options(kind) for name, kind in requests.items()}
    by_typer = [name for name in own if kinds[name] is typer.Context]
    kept = [one for name, one in own.items() if name not in (*requests, *by_typer)]
    flat = [option for options in by_request.values() for option in options.values()]
    context = inspect.Parameter(
        "typer_context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context
    )

    def run(*, typer_context: typer.Context, **given: Any) -> None:
        for name, options in by_request.items():
            values = {option: given.pop(option) for option in options}
            given[name] = _made(requests[name], values, typer_context)
        command(**given, **dict.fromkeys(by_typer, typer_context))

    shown = [context, *flat, *(one.replace(kind=one.KEYWORD_ONLY) for one in kept)]
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in shown}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _options(request: type[Any]) -> _Options:
    found: _Options = {}
    for field in options_of(request):
        if field.option.fields_of is None:
            found[field.name] = _parameter(field)
        else:
            found |= _options(field.option.fields_of)
    return found


def _parameter(field: Field) -> inspect.Parameter:
    kind: Any = str if field.option.parse or field.kind is Any else field.kind
    default: Any = field.default
    if field.several:
        kind, default = list[kind] | None, list(map(str, default or ())) or None
    elif field.optional and not field.option.required:
        kind = kind | None
    if field.option.parse and not field.several:
        default = None if default is None else str(default)
    required = field.option.required
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else default,
        annotation=Annotated[kind, _spelled(field)],
    )


def _spelled(field: Field) -> Any:
    option = field.option
    shared: dict[str, Any] = {"help": field.help, "metavar": _metavar(field)}
    if option.complete in NAMED:
        shared = NAMED[option.complete] | {name: one for name, one in shared.items() if one}
    elif option.complete is not None:
        shared["autocompletion"] = COMPLETIONS[option.complete]
    if option.positional:
        return typer.Argument(**shared)
    least = None if option.parse else option.minimum
    return typer.Option(*field.flags, min=least, **shared)


def _metavar(field: Field) -> str | None:
    """What stands for a value in the help; None where its type says it."""
    option = field.option
    if option.metavar is not None or option.complete in NAMED:
        return option.metavar
    if option.complete is not None:
        return option.complete.rpartition("_")[2].upper()
    if option.positional:
        return field.name.upper()
    return _LISTS.get(field.kind) if option.parse and field.several else None


def _made(request: type[Any], values: dict[str, Any], context: typer.Context) -> Any:
    """The request of what was typed; what contradicts itself is wrong usage."""
    given: dict[str, Any] = {}
    for field in options_of(request):
        if field.option.fields_of is not None:
            given[field.name] = {
                inner.name: _parsed(inner, values[inner.name])
                for inner in fields_of(field.option.fields_of)
                if is_given(context, inner.name)
            }
        elif values[field.name] is not None or field.optional:
            given[field.name] = _parsed(field, values[field.name])
    try:
        return request(**given)
    except RequestError as error:
        raise typer.BadParameter(str(error), param_hint=_hint(request, error.field)) from error


def _parsed(field: Field, value: Any) -> Any:
    parse = field.option.parse
    if parse is None or value is None:
        return value
    texts = value if field.several else [value]
    try:
        found = [one for text in texts for one in _listed(parse(text))]
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint=f"'{field.flag}'") from error
    return found if field.several else found[0]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _hint(request: type[Request], name: str) -> str:
    (field,) = (one for one in fields_of(request) if one.name == name)
    return f"'{_metavar(field) if field.option.positional else field.flag}'"


def is_given(context: typer.Context, name: str) -> bool:
    """Whether the user gave an option: what nobody gave may depend on the model."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
