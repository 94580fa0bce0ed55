"""Where a prompt has been: its rows over the checkpoints a run still has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from probe.digests import changed_files
from probe.errors import TrainingError
from probe.training.checkpoint import checkpoint_folders

_ROWS = "module.rows"


def checkpoint_rows(run_folder: Path, number: int = 0) -> tuple[list[int], NDArray[np.float32]]:
    """Steps [S] and rows [S, P, H] of one prompt over the checkpoints that are kept.

    A run keeps its last two, so this is the end of the way; the trainer's own records tell of the
    whole (`norm`, `moved`).

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
    read = [_read(folder, number) for folder in folders]
    return [step for step, _ in read], np.stack([rows for _, rows in read])


def _read(folder: Path, number: int) -> tuple[int, NDArray[np.float32]]:
    from safetensors import safe_open

    if changed := changed_files(folder):
        raise TrainingError(
            f"{folder / changed[0]} is not what was written (another sha256): resume the run, "
            "which writes it anew"
        )
    try:
        document = json.loads((folder / "state.json").read_bytes())
        prompts = document["prompts"]
        method = prompts[number]["config"]["method"] if number < len(prompts) else None
        if method not in (None, "prompt_tuning", "pez"):
            raise TrainingError(
                f"{folder.parent.parent.name} trains by {method}: its checkpoints hold no rows to "
                "follow, only prompt_tuning and pez keep them"
            )
        if method is None:
            raise TrainingError(
                f"{folder.parent.parent.name} trains {len(prompts)} prompts, there is no number "
                f"{number}"
            )
        with safe_open(folder / "state.safetensors", framework="np") as tensors:
            rows = tensors.get_tensor(f"{number}.{_ROWS}")
        return int(document["step"]), np.asarray(rows, dtype=np.float32)
    except TrainingError:
        raise
    except Exception as error:  # safetensors, JSON and the system each raise their own
        raise TrainingError(
            f"{folder} cannot be read ({str(error)[:120]}): remove it to follow the others"
        ) from error
