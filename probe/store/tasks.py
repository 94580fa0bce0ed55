"""Tasks made of data of one's own: `tasks/<name>/` holds a task file and the rows."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from probe.atomic import (
    folder_aside,
    is_temporary,
    make_private,
    numbered,
    rename_to_free,
    settle,
)
from probe.datasets import load_task
from probe.datasets.definition import TASK_FILE, Definition, definition_toml
from probe.errors import DataError
from probe.store.card import workspace_name
from probe.store.files import unwritable
from probe.task import Task

_STEMS = ("train", "validation", "dev", "test")


class TaskFolders:
    """Every task of one workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """Names of all tasks, sorted."""
        if not self.root.is_dir():
            return []
        folders = (path for path in self.root.iterdir() if not is_temporary(path))
        return sorted(path.name for path in folders if (path / TASK_FILE).is_file())

    def path(self, name: str) -> Path:
        """The folder of a task, which `load_task` takes."""
        return self.root / name

    def save(self, definition: Definition, files: Mapping[str, bytes]) -> str:
        """Keep a task once all its rows have been read; a name that exists is not overwritten.

        Args:
            definition: the task without its rows.
            files: content of each data file by its name; a single one holds training rows,
                several are named `train`, `validation` and `test`.

        Returns:
            Its name: the definition's, with a number where that is taken.

        Raises:
            DataError: a row, the template or the label words are not as expected.
            WorkspaceError: the workspace cannot be written.
        """
        wanted = self.root / workspace_name(definition.name)
        try:
            make_private(self.root)
            with folder_aside(self.root, private=True) as aside:
                folder = aside / "task"
                _read_written(folder, dataclasses.replace(definition, name=wanted.name), files)
                folder.chmod(0o700)

                def places() -> Iterator[Path]:
                    for place in numbered(wanted):
                        _write(folder, dataclasses.replace(definition, name=place.name))
                        settle(folder, private=True)
                        yield place

                return rename_to_free(folder, places()).name
        except OSError as error:
            raise unwritable(self.root, error) from error


def read_task(definition: Definition, files: Mapping[str, bytes]) -> Task:
    """The task that `TaskFolders.save` would keep.

    Raises:
        DataError: a row, the template or the label words are not as expected; the message names
            file and line.
    """
    with tempfile.TemporaryDirectory(prefix="probe-task-") as folder:
        return _read_written(Path(folder) / "task", definition, files)


def _read_written(folder: Path, definition: Definition, files: Mapping[str, bytes]) -> Task:
    folder.mkdir(parents=True)
    _write(folder, definition)
    for name, content in _by_split(files).items():
        (folder / name).write_bytes(content)
    try:
        return load_task(folder)
    except DataError as error:  # the folder is nobody's business
        raise DataError(str(error).replace(f"{folder}/", "").replace(str(folder), "data")) from None


def _write(folder: Path, definition: Definition) -> None:
    toml = definition_toml(definition).encode("utf-8", "replace")
    (folder / TASK_FILE).write_bytes(toml)


def _by_split(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files under the names that `load_task` looks for."""
    if len(files) == 1:
        ((name, content),) = files.items()
        return {f"train{Path(name).suffix.lower()}": content}
    found = {}
    for name, content in files.items():
        path = Path(name.lower())
        if path.stem not in _STEMS or path.name in found:
            raise DataError(
                f"{name}: of several files each is named after its split, such as train.jsonl, "
                "validation.jsonl and test.jsonl"
            )
        found[path.name] = content
    return found
