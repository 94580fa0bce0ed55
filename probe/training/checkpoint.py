"""Checkpoints: tensors in safetensors, the rest in JSON, written aside and renamed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save

from probe.errors import TrainingError
from probe.training.optimiser import Tensors

VERSION = 1
_FOLDER = "checkpoints"
_ASIDE = ".writing"
_TENSORS, _DOCUMENT = "state.safetensors", "state.json"
_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on: its step, and the state of every prompt."""

    step: int
    model: str
    """Fingerprint of the frozen model's weights."""
    prompts: Sequence[tuple[Tensors, Mapping[str, Any]]]


def write_checkpoint(run_folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint, then remove all but the last two.

    A kill at any moment leaves the one before, whole.
    """
    folder = run_folder / _FOLDER
    place = folder / f"step-{checkpoint.step:08d}"
    if place.exists():
        return place  # the same step holds the same state
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / _ASIDE
    shutil.rmtree(aside, ignore_errors=True)  # what a kill left
    aside.mkdir()
    tensors = {
        f"{number}.{name}": value.detach().cpu().contiguous()
        for number, (state, _) in enumerate(checkpoint.prompts)
        for name, value in state.items()
    }
    document = {
        "version": VERSION,
        "step": checkpoint.step,
        "model": checkpoint.model,
        "prompts": [document for _, document in checkpoint.prompts],
    }
    _write(aside / _TENSORS, save(tensors))
    _write(aside / _DOCUMENT, json.dumps(document, indent=1).encode())
    _sync(aside)
    aside.rename(place)
    _sync(folder)
    for old in checkpoint_folders(run_folder)[:-_KEPT]:
        old.rename(aside)  # first out of sight: half a checkpoint must not pass for a whole one
        shutil.rmtree(aside)
    return place


def read_checkpoint(run_folder: Path) -> Checkpoint | None:
    """The last checkpoint of a run, None where it has none yet.

    Raises:
        TrainingError: it cannot be read, or another version wrote it.
    """
    folders = checkpoint_folders(run_folder)
    if not folders:
        return None
    last = folders[-1]
    try:
        document = json.loads((last / _DOCUMENT).read_bytes())
        tensors = load_file(last / _TENSORS)
        if document["version"] != VERSION:
            raise TrainingError(
                f"{last} is of version {document['version']}, this probe reads {VERSION}: "
                "start the run anew in another folder"
            )
        prompts = [
            (_of(number, tensors), state) for number, state in enumerate(document["prompts"])
        ]
        return Checkpoint(document["step"], document["model"], prompts)
    except TrainingError:
        raise
    except Exception as error:  # safetensors, JSON and the system each raise their own
        raise TrainingError(
            f"{last} cannot be read ({str(error)[:120]}): remove it to resume from the one before"
        ) from error


def checkpoint_folders(run_folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    return sorted((run_folder / _FOLDER).glob("step-*"))


def _of(number: int, tensors: Tensors) -> Tensors:
    prefix = f"{number}."
    return {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
