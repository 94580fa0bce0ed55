"""How a training configuration is written on a command line."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from pathlib import Path

from probe.training.config import TrainConfig
from probe.training.recommended import with_recommended

_SHORT = {"learning_rate": "lr"}


def flag(field: str) -> str:
    """The option of a field, such as `--batch-size`."""
    return f"--{_SHORT.get(field, field).replace('_', '-')}"


def option_of(field: str) -> str:
    """The option's name as a Python argument, such as `lr`."""
    return _SHORT.get(field, field)


def arguments(config: TrainConfig, model: str) -> list[str]:
    """Options and values of every field that is not at its default, in general or for the model."""
    found: list[str] = []
    usual = with_recommended(model, {"method": config.method})
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value == field.default and (value is None or value == usual.get(field.name, value)):
            continue
        option = flag(field.name)
        if isinstance(value, bool):
            found.append(option if value else f"--no-{option.removeprefix('--')}")
        else:
            found += written(option, "none" if value is None else value)
    return found


def written(option: str, value: object) -> list[str]:
    """An option with its value, one word or two; nothing where the value is None."""
    if value is None:
        return []
    text = str(value)
    # A value that begins with a dash would be read as an option.
    return [f"{option}={text}"] if text.startswith("-") else [option, text]


def field_help() -> dict[str, str]:
    """The docstring under each field, on one line."""
    module = ast.parse(Path(inspect.getfile(TrainConfig)).read_text(encoding="utf-8"))
    classes = (node for node in module.body if isinstance(node, ast.ClassDef))
    body = next(node.body for node in classes if node.name == TrainConfig.__name__)
    found = {}
    for field, words in zip(body, body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(words, ast.Expr):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(ast.literal_eval(words.value)).split())
    return found
