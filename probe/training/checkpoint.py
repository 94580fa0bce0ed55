"""Checkpoints: tensors in safetensors, the rest in JSON, written aside and renamed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from probe.atomic import (
    folder_aside,
    make_private,
    remove_folder,
    remove_leftovers,
    settle,
    sync_folder,
)
from probe.digests import changed_files, write_digests
from probe.errors import TrainingError
from probe.requests.train_methods import METHODS
from probe.texts import counted
from probe.training.optimiser import Tensors, below

VERSION = 1
_FOLDER = "checkpoints"
_TENSORS, _DOCUMENT = "state.safetensors", "state.json"
_ROWS = "module.rows"
_KEPT = 2

_LOG = logging.getLogger(__name__)


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

    Args:
        run_folder: must be there: a run that was removed while it trains stays removed.
        checkpoint: what to keep.

    Raises:
        OSError: the folder is gone or cannot be written.
    """
    folder = run_folder / _FOLDER
    place = folder / f"step-{checkpoint.step:08d}"
    remove_leftovers(folder, grace_s=0)  # a run has one worker
    if place.exists():
        if _read(place)[1] is None:
            return place  # the same step holds the same state
        remove_folder(place)
    if not folder.exists():
        folder.mkdir(mode=0o700)
    with folder_aside(folder, private=True) as aside:
        made = aside / place.name
        make_private(made)
        _fill(made, checkpoint)
        settle(made, private=True)
        made.rename(place)
    sync_folder(folder)
    for old in checkpoint_folders(run_folder)[:-_KEPT]:
        remove_folder(old)
    return place


def read_checkpoint(run_folder: Path) -> Checkpoint | None:
    """The last checkpoint of a run that is whole, None where it has none yet.

    A damaged one is named and passed over: from the one before, the same steps are made again.

    Raises:
        TrainingError: none can be read, or another version wrote the last one.
    """
    complaint = None
    for folder in reversed(checkpoint_folders(run_folder)):
        checkpoint, complaint = _read(folder)
        if checkpoint is not None:
            return checkpoint
        _LOG.warning("%s: going on from the checkpoint before", complaint)
    if complaint is None:
        return None
    raise TrainingError(f"{complaint}, and none before it: start the run anew")


def _fill(folder: Path, checkpoint: Checkpoint) -> None:
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
    (folder / _TENSORS).write_bytes(save(tensors))
    (folder / _DOCUMENT).write_text(json.dumps(document, indent=1), encoding="utf-8")
    write_digests(folder, (_TENSORS, _DOCUMENT))


def _read(folder: Path) -> tuple[Checkpoint | None, str | None]:
    """A checkpoint, or why it cannot be read."""
    if changed := changed_files(folder):
        return None, f"{folder / changed[0]} is not what was written (another sha256)"
    try:
        document = json.loads((folder / _DOCUMENT).read_bytes())
        tensors = load_file(folder / _TENSORS)
        version = document["version"]
        prompts = [
            (below(f"{number}.", tensors), state)
            for number, state in enumerate(document["prompts"])
        ]
        checkpoint = Checkpoint(document["step"], document["model"], prompts)
    except Exception as error:  # safetensors, JSON and the system each raise their own
        return None, f"{folder} cannot be read ({str(error)[:120]})"
    if version != VERSION:
        raise TrainingError(
            f"{folder} is of version {version}, this probe reads {VERSION}: "
            "start the run anew in another folder"
        )
    return checkpoint, None


def checkpoint_rows(run_folder: Path, number: int = 0) -> tuple[list[int], NDArray[np.float32]]:
    """Steps [S] and rows [S, P, H] of one prompt over the checkpoints that are kept.

    A run keeps its last two, so these are the last ones; the trainer's own records
    (`norm`, `moved`) are of all steps.

    Args:
        run_folder: of the run.
        number: which of the prompts it trains at once.

    Raises:
        TrainingError: there is no checkpoint, it cannot be read, it holds no such prompt, or the
            method trains an encoder or a prefix in place of rows.
    """
    folders = checkpoint_folders(run_folder)
    if not folders:
        raise TrainingError(f"{run_folder.name} has no checkpoint yet: wait, or train it further")
    read = [_rows(folder, number) for folder in folders]
    return [step for step, _ in read], np.stack([rows for _, rows in read])


def _rows(folder: Path, number: int) -> tuple[int, NDArray[np.float32]]:
    checkpoint, complaint = _read(folder)
    if checkpoint is None:
        raise TrainingError(f"{complaint}: resume the run, which writes it anew, or remove it")
    run, count = folder.parent.parent.name, len(checkpoint.prompts)
    if number >= count:
        raise TrainingError(f"{run} trains {counted(count, 'prompt')}, asked for was another")
    tensors, state = checkpoint.prompts[number]
    method = state["config"]["method"]
    followed = [name for name, spec in METHODS.items() if spec.keeps_rows]
    if method not in followed:
        raise TrainingError(
            f"{run} trains by {method}: its checkpoints hold no rows to follow, only "
            f"{' and '.join(followed)} keep them"
        )
    return checkpoint.step, tensors[_ROWS].float().numpy()


def checkpoint_folders(run_folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    return sorted((run_folder / _FOLDER).glob("step-*"))
