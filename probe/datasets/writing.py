"""A task's definition as the TOML file that says it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from probe.datasets.definition import Definition
from probe.datasets.examples import Columns
from probe.task import joined_words


def definition_toml(definition: Definition) -> str:
    """What `read_definition` reads as this definition; its rows lie in files beside it.

    Raises:
        ValueError: the rows lie on the hub.
    """
    if definition.hub is not None:
        raise ValueError("expected a task whose rows are files, found one of the hub")
    plain: dict[str, Any] = {
        "name": definition.name,
        "kind": definition.kind,
        "template": definition.template,
        "label_words": joined_words(definition.label_words, definition.synonyms),
        "label_names": list(definition.label_names),
        "metric": definition.metric,
        "source": definition.source,
        "licence": definition.licence,
    }
    lines = [f"{key} = {_toml(value)}" for key, value in plain.items() if value]
    if definition.columns != Columns():
        lines += ["", "[columns]", *_pairs(dataclasses.asdict(definition.columns))]
    if definition.files:
        lines += ["", "[files]", *_pairs(dict(definition.files))]
    return "\n".join([*lines, ""])


def _pairs(values: dict[str, str]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in values.items()]


def _toml(value: str | list[str | list[str]]) -> str:
    """Texts and lists of them: JSON, but for the one character that only TOML has escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
