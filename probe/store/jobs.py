"""Folders of jobs, `runs/<id>/` and `studies/<id>/`: what was asked, and what came of it.

`config.json` says what was asked, `status.json` how it stands; whoever looks finds out from the
process that the status names whether anybody still works at it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path

from probe.atomic import (
    folder_aside,
    is_temporary,
    make_private,
    numbered,
    remove_folder,
    rename_to_free,
    settle,
)
from probe.errors import WorkspaceError, is_full
from probe.store.card import kept_name
from probe.store.files import keep_file, keep_in_place, unwritable
from probe.store.job_config import TRAININGS, JobConfig, JobKind, config_of
from probe.store.job_status import Status, read_object, read_status
from probe.texts import closest

_CONFIG, _STATUS, _LABEL = "config.json", "status.json", "label.txt"
_MAX_LABEL = 100
_TRASH = ".trash"
_IN_TRASH_S = 7 * 86_400
_ROOM_BYTES = 1 << 30
"""With less room than this something is deleted to make some."""


class JobFolder:
    """The folder of one job, which is all there is to know of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metrics, self.log, self.stop = (
            path / name for name in ("metrics.jsonl", "log.txt", "stop")
        )
        """`stop` is there once somebody wants the job to save and end."""
        self.trajectory = path / "trajectory"
        """A training's prompts as they were at some steps, each a file that opens by itself."""
        self.prompts = path / "prompts"
        """Every prompt of a study, as a file that opens by itself."""
        self.results = path / "results.parquet"
        """One row per run of a study that is finished; replaced whole as it goes on."""
        self.summary = path / "summary.json"
        """A study's tables, the document that `--json` prints; replaced likewise."""
        self.figures = path / "figures.html"
        """A study as one page that opens anywhere; written at the end."""

    @property
    def id(self) -> str:
        """The job's name."""
        return self.path.name

    @cached_property
    def config(self) -> JobConfig:
        """What was asked.

        Raises:
            WorkspaceError: `config.json` is missing or damaged.
        """
        return read_object(self.path / _CONFIG, config_of)

    @property
    def status(self) -> Status:
        """What its worker last said.

        Raises:
            WorkspaceError: `status.json` is missing or damaged.
        """
        return read_status(self.path / _STATUS)

    @property
    def label(self) -> str:
        """What people call the job; empty until somebody names it."""
        try:
            return (self.path / _LABEL).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def name(self, label: str) -> None:
        """Give the job a label, on one line; an empty one takes it away.

        Raises:
            WorkspaceError: the label is too long, or the folder cannot be written.
        """
        label = " ".join(label.split())
        if len(label) > _MAX_LABEL:
            raise WorkspaceError(
                f"expected a label of at most {_MAX_LABEL} characters, found {len(label)}"
            )
        self._keep(_LABEL, label.encode("utf-8", "replace"))

    def ask(self, config: JobConfig) -> None:
        """Replace what is asked.

        Raises:
            WorkspaceError: the folder cannot be written.
        """
        self._keep(_CONFIG, config.document())
        self.__dict__.pop("config", None)  # it is read anew

    def write(self, status: Status) -> None:
        """Replace the status, on a full disk in the space it has.

        Raises:
            OSError: the folder is gone or cannot be written.
        """
        keep_in_place(self.path / _STATUS, status.document())

    def _keep(self, name: str, data: bytes) -> None:
        try:
            keep_file(self.path / name, data)
        except OSError as error:
            raise unwritable(self.path, error) from error


class JobFolders:
    """Every job of one workspace, or those of some of its folders."""

    def __init__(self, *roots: Path) -> None:
        self.roots = roots

    @property
    def root(self) -> Path:
        """The first folder."""
        return self.roots[0]

    def create(self, config: JobConfig, status: Status) -> JobFolder:
        """A new folder, named after what the request comes to, or its name and the time.

        It appears whole.

        Raises:
            WorkspaceError: the workspace cannot be written.
        """
        created = datetime.fromisoformat(config.created)
        stem = config.id or f"{kept_name(config.name)}-{created:%Y%m%d-%H%M%S}"
        root = self._root(config.kind)
        try:
            make_private(root)
            with folder_aside(root, private=True) as aside:
                folder = aside / "job"
                folder.mkdir(mode=0o700)
                (folder / _CONFIG).write_bytes(config.document())
                (folder / _STATUS).write_bytes(status.document())
                settle(folder, private=True)
                places = numbered(root / stem) if config.id is None else (root / stem,)
                try:
                    return JobFolder(rename_to_free(folder, places))
                except FileExistsError:  # another process has just made the same
                    return JobFolder(root / stem)
        except OSError as error:
            raise unwritable(root, error) from error

    def same(self, config: JobConfig) -> JobFolder | None:
        """The folder of a study that was asked for before, if it was."""
        if config.id is None:
            return None
        folder = JobFolder(self._root(config.kind) / config.id)
        return folder if (folder.path / _CONFIG).is_file() else None

    def get(self, reference: str) -> JobFolder:
        """The job of that name, or the only one whose name begins so.

        Raises:
            WorkspaceError: there is none, or there are several.
        """
        paths = {path.name: path for path in self._paths()}
        found = [id_ for id_ in paths if id_ == reference]
        found = found or [id_ for id_ in paths if reference and id_.startswith(reference)]
        if len(found) == 1:
            return JobFolder(paths[found[0]])
        # People remember what stands before the date and the time.
        heads = {id_.rsplit("-", 2)[0]: id_ for id_ in paths}
        near = found or closest(reference, paths) or [heads[h] for h in closest(reference, heads)]
        hint = f"expected one of {', '.join(near)}" if near else "see `probe runs`"
        raise WorkspaceError(f"the workspace has no single run {reference}: {hint}")

    def ids(self) -> list[str]:
        """Names of all jobs, sorted."""
        return sorted(path.name for path in self._paths())

    def __iter__(self) -> Iterator[JobFolder]:
        """Every job, by name."""
        return (JobFolder(path) for path in sorted(self._paths(), key=lambda path: path.name))

    def remove(self, job: JobFolder) -> None:
        """Delete a folder; it is gone at once or not at all.

        Raises:
            WorkspaceError: it cannot be deleted.
        """
        try:
            remove_folder(job.path)
        except OSError as error:
            raise unwritable(job.path, error) from error

    @property
    def trash(self) -> JobFolders:
        """What was discarded and can be recovered."""
        return JobFolders(*(root / _TRASH for root in self.roots))

    def discard(self, job: JobFolder) -> None:
        """Put a folder into the trash for a week; delete it where the disk has hardly any room.

        Raises:
            WorkspaceError: neither can be done.
        """
        self.empty_trash(job.id)
        trash = job.path.parent / _TRASH
        try:
            if shutil.disk_usage(job.path).free > _ROOM_BYTES:
                make_private(trash)
                os.utime(job.path)  # counts from now
                job.path.rename(trash / job.id)
                return
        except OSError as error:
            if not is_full(error):
                raise unwritable(job.path, error) from error
        self.remove(job)

    def empty_trash(self, name: str | None = None) -> None:
        """Delete what has been in the trash for a week, where it can be, and what has a name.

        Raises:
            WorkspaceError: what has the name cannot be deleted.
        """
        for job in self.trash:
            if job.id == name:
                self.remove(job)
                continue
            with suppress(OSError):
                if time.time() - job.path.stat().st_mtime > _IN_TRASH_S:
                    remove_folder(job.path)

    def recover(self, reference: str) -> JobFolder:
        """Take a folder out of the trash.

        Raises:
            WorkspaceError: the trash has no single one of that name, or one is there again.
        """
        try:
            folder = self.trash.get(reference).path
        except WorkspaceError:
            raise WorkspaceError(f"the trash has no single run {reference}") from None
        try:
            return JobFolder(rename_to_free(folder, (folder.parents[1] / folder.name,)))
        except FileExistsError:
            raise WorkspaceError(
                f"{folder.name} is there again: delete that one, or leave this in the trash"
            ) from None
        except OSError as error:
            raise unwritable(folder, error) from error

    def _root(self, kind: JobKind) -> Path:
        return self.roots[0] if kind in TRAININGS else self.roots[-1]

    def _paths(self) -> Iterator[Path]:
        for root in self.roots:
            for path in root.iterdir() if root.is_dir() else ():
                if not is_temporary(path) and (path / _CONFIG).is_file():
                    yield path
