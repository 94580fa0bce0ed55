"""One option per field of `TrainConfig`, with the field's own words as its help."""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_type_hints

import typer

from probe.training import TrainConfig
from probe.training.command_line import field_help, flag


def with_training_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of `TrainConfig` as options in place of `config`.

    Args:
        command: takes its `context`, and the fields that the user gave as the dictionary `config`.
    """
    options = _options()
    own = inspect.signature(command, eval_str=True).parameters

    def run(**given: Any) -> None:
        values = {name: given.pop(name) for name in options}
        config = {name: values[name] for name in values if _is_given(given["context"], name)}
        command(**given, config=config)

    kept = [parameter for name, parameter in own.items() if name != "config"]
    run.__signature__ = inspect.Signature([*kept, *options.values()])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in [*kept, *options.values()]}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def _options() -> dict[str, inspect.Parameter]:
    kinds, words = get_type_hints(TrainConfig), field_help()
    return {
        field.name: inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[kinds[field.name], _option(field, kinds, words[field.name])],
        )
        for field in dataclasses.fields(TrainConfig)
    }


def _option(field: dataclasses.Field[Any], kinds: dict[str, Any], words: str) -> Any:
    option = flag(field.name)
    if kinds[field.name] is bool:
        option = f"{option}/--no-{option.removeprefix('--')}"
    if field.default is not None and types.NoneType in get_args(kinds[field.name]):
        return typer.Option(option, help=words, parser=_number_or_none, metavar="FLOAT|none")
    return typer.Option(option, help=words)


def _number_or_none(text: str | float) -> float | None:
    return None if text in ("none", "None") else float(text)


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether the user gave an option: what nobody gave may depend on the model."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
