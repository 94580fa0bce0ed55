"""A task without its rows, and the TOML file that says it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probe.datasets.examples import Columns
from probe.datasets.hub import SPLITS, HubSource
from probe.datasets.rows import read_text
from probe.errors import DataError
from probe.suggestions import did_you_mean
from probe.task import LabelWords, TaskKind, TaskMetric, split_words
from probe.texts import is_one_line

TASK_FILE = "task.toml"


@dataclass(frozen=True)
class Definition:
    """Everything of a task but its examples; the keys of a task file have these names."""

    name: str
    kind: TaskKind = "classification"
    template: str = "{text}"
    """The model's input with `{text}`, or other columns of the rows, where the example goes, and
    `{label}` where its label does if something follows it."""
    label_words: tuple[str, ...] = ()
    """The verbalizer, in label order; in a file a label may have a list of words."""
    synonyms: tuple[tuple[str, ...], ...] = ()
    """The further words of each label; not a key of the file."""
    label_names: tuple[str, ...] = ()
    """How rows call the labels, if not by number or label word."""
    metric: TaskMetric | None = None
    """Accuracy or exact match if not given."""
    source: str = ""
    licence: str = ""
    columns: Columns = Columns()
    files: Mapping[str, str] = field(default_factory=dict)
    """File of each split, relative to the task's folder; `train.jsonl` and so on if not given."""
    hub: HubSource | None = None
    """Where the rows lie if there are no files."""

    @property
    def labels(self) -> tuple[str, ...]:
        """How rows call the labels."""
        return self.label_names or self.label_words


def read_definition(path: Path) -> Definition:
    """Read a task file.

    Raises:
        DataError: the file is missing, is no TOML, has a key that is not known or a value of the
            wrong kind, or a name that no file could have.
    """
    try:
        values = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DataError(f"{path}: expected a TOML task file ({error})") from error
    parts = _parts(values, _KEYS, f"{path}")
    parts["label_words"], parts["synonyms"] = split_words(parts.get("label_words", ()))
    definition = Definition(**{"name": path.resolve().parent.name} | parts)
    if set("/\\") & set(definition.name) or not is_one_line(definition.name):
        raise DataError(
            f"{path}, name: expected one without slashes, line ends and control characters, found "
            f"{definition.name!r}"
        )
    if len(definition.labels) != len(definition.label_words):
        raise DataError(
            f"{path}: expected one label name per label word ({len(definition.label_words)}), "
            f"found {len(definition.label_names)}"
        )
    return definition


def _parts(value: Any, keys: Mapping[str, _Reader], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(
            f"{where}: expected a table with the keys {', '.join(keys)}, found {value!r}"
        )
    unknown = [key for key in value if key not in keys]
    if unknown:
        raise DataError(
            f"{where}: expected only the keys {', '.join(keys)}, found {', '.join(unknown)}"
            f"{did_you_mean(unknown[0], keys)}"
        )
    return {key: keys[key](part, f"{where}, {key}") for key, part in value.items()}


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where}: expected a text, found {value!r}")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise DataError(f"{where}: expected a list of texts, found {value!r}")
    return tuple(_text(item, where) for item in value)


def _words(value: Any, where: str) -> LabelWords:
    if not isinstance(value, list):
        raise DataError(f"{where}: expected a list of texts, found {value!r}")
    if [] in value:
        raise DataError(f"{where}: expected one or more words for each label, found {value!r}")
    return [_texts(one, where) if isinstance(one, list) else _text(one, where) for one in value]


def _splits(value: Any, where: str) -> dict[str, str]:
    return _parts(value, dict.fromkeys(SPLITS, _text), where)


def _columns(value: Any, where: str) -> Columns:
    return Columns(**_parts(value, dict.fromkeys(("text", "label", "target"), _text), where))


def _hub(value: Any, where: str) -> HubSource:
    parts = _parts(value, _HUB_KEYS, where)
    if "id" not in parts:
        raise DataError(f"{where}: expected the key id, found none")
    return HubSource(**parts)


_Reader = Callable[[Any, str], Any]
_HUB_KEYS: dict[str, _Reader] = {
    "id": _text,
    "config": _text,
    "revision": _text,
    "splits": _splits,
    "columns": _columns,
}
_KEYS: dict[str, _Reader] = {
    "name": _text,
    "kind": _text,
    "template": _text,
    "label_words": _words,
    "label_names": _texts,
    "metric": _text,
    "source": _text,
    "licence": _text,
    "columns": _columns,
    "files": _splits,
    "hub": _hub,
}
