"""A task without its rows, the TOML file that says it, and where its files may lie."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probe.datasets.examples import Columns
from probe.datasets.hub import SPLITS, HubSource
from probe.datasets.rows import read_text
from probe.errors import DataError
from probe.task import LabelWords, TaskKind, TaskMetric, joined_words, split_words
from probe.texts import did_you_mean, is_one_line

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
        lines += ["", "[columns]", *_toml_pairs(dataclasses.asdict(definition.columns))]
    if definition.files:
        lines += ["", "[files]", *_toml_pairs(dict(definition.files))]
    return "\n".join([*lines, ""])


def _toml_pairs(values: dict[str, str]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in values.items()]


def _toml(value: str | list[str | list[str]]) -> str:
    """Texts and lists of them: JSON, but for the one character that only TOML has escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def require_inside(folder: Path, path: Path) -> Path:
    """A file or folder of a task, and all it holds, once it is sure where they lie.

    Args:
        folder: the task's; it may itself be a link.
        path: below it, by its name.

    Returns:
        The path, as it was given.

    Raises:
        DataError: it lies elsewhere, by its name or by a link.
    """
    home = folder.resolve()
    for one in (path, *(path.rglob("*") if path.is_dir() else ())):
        try:
            place = one.resolve()
        except (OSError, RuntimeError, ValueError) as error:  # a ring of links, a NUL
            raise DataError(f"{one}: expected a file of the task, found {error}") from error
        if not place.is_relative_to(home):
            raise DataError(
                f"{one}: expected a file inside the task's folder {folder}, found that it leads to "
                f"{place}: put a copy there, or name the folder of the rows with --data-dir"
            )
    return path
