"""Run folders `runs/<id>/`: what was asked, how it stands, what it logged, its checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from probe.atomic import folder_aside, is_temporary, make_private, remove_folder, settle
from probe.errors import WorkspaceError
from probe.store.card import kept_name
from probe.store.files import keep_file, keep_in_place, unwritable
from probe.store.runs_status import Status, read_fields, read_status
from probe.suggestions import closest

_CONFIG, _STATUS, _METRICS = "config.json", "status.json", "metrics.jsonl"
_LOG, _STOP, _LABEL = "log.txt", "stop", "label.txt"
_MAX_LABEL = 100


@dataclass(frozen=True)
class RunConfig:
    """What a run was asked to do; written once, but for the steps of one that is to go further."""

    model: str
    """As `load_model` takes it, a folder by its full path."""
    task: str
    """As `load_task` takes it, a file by its full path."""
    name: str
    """Of the prompt it makes."""
    training: Mapping[str, Any]
    """The fields of a `TrainConfig`."""
    created: str
    """ISO 8601 in UTC."""
    data_dir: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    """Columns of the data, in place of the task's own."""
    label_words: tuple[str | list[str], ...] = ()
    """One or several per label, in place of the task's own."""
    device: str | None = None
    dtype: str | None = None
    folds: int | None = None
    """Parts of a cross-validation; None trains one prompt."""
    test_examples: int = 2000
    """At most so many test examples, from all over the split, score the prompt; 0 scores none."""
    command: tuple[str, ...] = field(default=())
    """The command line that asked for it, where one did."""

    @property
    def steps(self) -> int:
        """Updates asked for."""
        return int(self.training["steps"])


class RunFolder:
    """The folder of one run, which is all there is to know of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics, self.log, self.stop = path / _METRICS, path / _LOG, path / _STOP
        """`stop` is there once somebody wants the run to save and end."""

    @property
    def id(self) -> str:
        """The run's name."""
        return self.path.name

    @cached_property
    def config(self) -> RunConfig:
        """What was asked.

        Raises:
            WorkspaceError: `config.json` is missing or damaged.
        """
        document = read_fields(self.path / _CONFIG, RunConfig)
        lists = {key: tuple(document.get(key, ())) for key in ("command", "label_words")}
        return RunConfig(**document | lists)

    @property
    def status(self) -> Status:
        """What its worker last said.

        Raises:
            WorkspaceError: `status.json` is missing or damaged.
        """
        return read_status(self.path / _STATUS)

    @property
    def label(self) -> str:
        """What people call the run; empty until somebody names it."""
        try:
            return (self.path / _LABEL).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def name(self, label: str) -> None:
        """Give the run a label, on one line; an empty one takes it away.

        Raises:
            WorkspaceError: the label is too long, or the folder cannot be written.
        """
        label = " ".join(label.split())
        if len(label) > _MAX_LABEL:
            raise WorkspaceError(
                f"expected a label of at most {_MAX_LABEL} characters, found {len(label)}"
            )
        try:
            keep_file(self.path / _LABEL, label.encode("utf-8", "replace"))
        except OSError as error:
            raise unwritable(self.path, error) from error

    def lengthen(self, steps: int) -> None:
        """Ask for so many steps in all.

        Raises:
            WorkspaceError: the folder cannot be written.
        """
        longer = replace(self.config, training={**self.config.training, "steps": steps})
        try:
            keep_file(self.path / _CONFIG, _config_document(longer))
        except OSError as error:
            raise unwritable(self.path, error) from error
        del self.config  # it is read anew

    def write(self, status: Status) -> None:
        """Replace the status, on a full disk in the space it has.

        Raises:
            OSError: the folder is gone or cannot be written.
        """
        keep_in_place(self.path / _STATUS, status.document())


class RunFolders:
    """Every run of one workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, config: RunConfig, status: Status) -> RunFolder:
        """A new folder, named after its prompt and the time; it appears whole.

        Raises:
            WorkspaceError: the workspace cannot be written.
        """
        created = datetime.fromisoformat(config.created)
        stem = f"{kept_name(config.name)}-{created:%Y%m%d-%H%M%S}"
        try:
            make_private(self.root)
            with folder_aside(self.root, private=True) as aside:
                folder = aside / "run"
                folder.mkdir(mode=0o700)
                (folder / _CONFIG).write_bytes(_config_document(config))
                (folder / _STATUS).write_bytes(status.document())
                settle(folder, private=True)
                return RunFolder(_renamed(folder, self.root, stem))
        except OSError as error:
            raise unwritable(self.root, error) from error

    def get(self, reference: str) -> RunFolder:
        """The run of that name, or the only one whose name begins so.

        Raises:
            WorkspaceError: there is none, or there are several.
        """
        ids = self.ids()
        found = [id_ for id_ in ids if id_ == reference]
        found = found or [id_ for id_ in ids if reference and id_.startswith(reference)]
        if len(found) == 1:
            return RunFolder(self.root / found[0])
        near = found or closest(reference, ids)
        hint = f"expected one of {', '.join(near)}" if near else "see `probe runs`"
        raise WorkspaceError(f"the workspace has no single run {reference}: {hint}")

    def ids(self) -> list[str]:
        """Names of all runs, sorted."""
        if not self.root.is_dir():
            return []
        folders = (path for path in self.root.iterdir() if not is_temporary(path))
        return sorted(path.name for path in folders if (path / _CONFIG).is_file())

    def __iter__(self) -> Iterator[RunFolder]:
        """Every run, by name."""
        return (RunFolder(self.root / id_) for id_ in self.ids())

    def remove(self, run: RunFolder) -> None:
        """Delete a folder; it is gone at once or not at all.

        Raises:
            WorkspaceError: it cannot be deleted.
        """
        try:
            remove_folder(run.path)
        except OSError as error:
            raise unwritable(run.path, error) from error


def _config_document(config: RunConfig) -> bytes:
    return json.dumps(asdict(config), indent=1).encode()


def _renamed(folder: Path, root: Path, stem: str) -> Path:
    """The folder under the first free name."""
    number = 1
    while True:
        place = root / (stem if number == 1 else f"{stem}-{number}")
        try:
            return folder.rename(place)
        except OSError:
            if not place.exists():
                raise
        number += 1
