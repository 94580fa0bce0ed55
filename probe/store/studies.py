"""Study folders `studies/<id>/`: what was asked, how it stands, and what came of it.

They stand as runs do: `config.json` is written once, `status.json` always replaced whole, and
whoever looks finds out from the process it names whether anybody still works at it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from probe.atomic import is_temporary, make_private
from probe.errors import WorkspaceError
from probe.store.card import workspace_name
from probe.store.files import keep_file, keep_in_place, unwritable
from probe.store.runs_status import Status, read_fields, read_status

_CONFIG, _STATUS = "config.json", "status.json"


@dataclass(frozen=True)
class StudyConfig:
    """What a study was asked to find out; written once."""

    kind: Literal["wayward", "sweep"]
    name: str
    """For people, of tasks and models."""
    settings: Mapping[str, Any]
    """Everything that decides which runs there are."""
    created: str
    """ISO 8601 in UTC."""
    command: tuple[str, ...] = field(default=())
    """The command line that asked for it, where one did."""

    @property
    def id(self) -> str:
        """Name of its folder: the same settings, the same folder."""
        text = json.dumps(self.settings, sort_keys=True, default=list)
        digest = hashlib.sha256(f"{self.kind} {text}".encode()).hexdigest()
        return f"{self.kind}-{workspace_name(self.name)[:40]}-{digest[:8]}"


class StudyFolder:
    """The folder of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.prompts = path / "prompts"
        """Every run's prompt, as a file that opens by itself."""
        self.results = path / "results.parquet"
        """One row per run that is finished; replaced whole as the study goes on."""
        self.summary = path / "summary.json"
        """Its tables, the document that `--json` prints; replaced likewise."""
        self.figures = path / "figures.html"
        """One page that opens anywhere; written at the end."""
        self.log = path / "log.txt"
        """What a worker that was started for the study printed."""

    @property
    def id(self) -> str:
        """The study's name."""
        return self.path.name

    @cached_property
    def config(self) -> StudyConfig:
        """What was asked.

        Raises:
            WorkspaceError: `config.json` is missing or damaged.
        """
        document = read_fields(self.path / _CONFIG, StudyConfig)
        return StudyConfig(**document | {"command": tuple(document.get("command", ()))})

    @property
    def status(self) -> Status:
        """What its process last said: `step` counts finished runs, `metrics` holds `runs`.

        Raises:
            WorkspaceError: `status.json` is missing or damaged.
        """
        return read_status(self.path / _STATUS)

    def write(self, status: Status) -> None:
        """Replace the status, on a full disk in the space it has.

        Raises:
            OSError: the folder is gone or cannot be written.
        """
        keep_in_place(self.path / _STATUS, status.document())


class StudyFolders:
    """Every study of one workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, config: StudyConfig, status: Status) -> StudyFolder:
        """The folder of a study; made if the same was not asked for before.

        Raises:
            WorkspaceError: the workspace cannot be written.
        """
        study = StudyFolder(self.root / config.id)
        try:
            make_private(study.prompts)
            study.write(status)
            if not (study.path / _CONFIG).is_file():
                document = json.dumps(asdict(config), indent=1)
                keep_file(study.path / _CONFIG, document.encode())
        except OSError as error:
            raise unwritable(self.root, error) from error
        return study

    def get(self, reference: str) -> StudyFolder:
        """The study of that name, or the only one whose name begins so.

        Raises:
            WorkspaceError: there is none, or there are several.
        """
        found = [study for study in self if study.id == reference]
        found = found or [study for study in self if reference and study.id.startswith(reference)]
        if len(found) != 1:
            names = ", ".join(study.id for study in found or self) or "none"
            raise WorkspaceError(
                f"the workspace has no single study {reference}: expected one of {names}"
            )
        return found[0]

    def __iter__(self) -> Iterator[StudyFolder]:
        """Every study, by name."""
        if not self.root.is_dir():
            return
        for path in sorted(self.root.iterdir()):
            if (path / _CONFIG).is_file() and not is_temporary(path):
                yield StudyFolder(path)
