"""A worker in a session of its own, which outlives whoever started it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Protocol

from probe.atomic import privately
from probe.errors import TrainingError
from probe.store import Status

_POLL_S = 0.05


class Folder(Protocol):
    """What a worker is started for: the folder of a run or of a study."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def log(self) -> Path:
        """Where everything goes that the worker prints."""
        ...

    @property
    def status(self) -> Status:
        """What its worker last said."""
        ...

    def write(self, status: Status) -> None:
        """Replace the status."""
        ...


def launch(folder: Folder, module: str) -> None:
    """Start `python -m MODULE FOLDER` and wait for its first word.

    Raises:
        TrainingError: it ended without a word; the folder says so too.
    """
    # -P: no module that lies in the working folder gets in.
    command = [sys.executable, "-P", "-m", module, str(folder.path)]
    with open(folder.log, "ab", opener=privately) as log:
        worker = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.path,
            start_new_session=True,
            umask=0o077,
        )
    # Somebody must take notice of its end, or it stays in the process table as a zombie.
    threading.Thread(target=worker.wait, daemon=True).start()
    while folder.status.pid is None:
        if worker.poll() is not None and folder.status.pid is None:
            message = f"no worker could be started: see {folder.log}"
            folder.write(dataclasses.replace(folder.status, state="failed", message=message))
            raise TrainingError(message)
        time.sleep(_POLL_S)
