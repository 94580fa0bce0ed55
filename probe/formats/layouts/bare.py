"""A bare array with nothing around it: the file's place and name are all that tells its origin.

- google-research/prompt-tuning: `.npy` [P, H], and extensionless checkpoints named
  `encoder.prompt.prompt.prompt` (prompt_tuning/train/utils.py, `save_prompt`).
- IBM TGIS and caikit: `encoder.pt` and `decoder.pt`; a causal model's prompt is `decoder.pt` alone
  (server/text_generation_server/prompt_cache.py).
- thunlp/Prompt-Transferability: `task_prompt`, or `TASK.task_prompt`.
- InSPEcT: a pickled Parameter in `epoch_0004_acc_0.93.pt`.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from probe.formats.build import Card, soft_prompt, without_batch
from probe.formats.content import Content
from probe.formats.refusal import require_rows
from probe.prompt import AnyPrompt, Method, SoftPrompt, Submodule

TGIS_FILES = ("encoder.pt", "decoder.pt")

_CHECKPOINT = re.compile(r"(?P<half>encoder|decoder)(?:\.prompt)+$")
_INSPECT = re.compile(r"epoch_\d+_acc_[\d.]+\.pt$")


def read(content: Content) -> list[AnyPrompt] | None:
    """The one prompt of a file that is a bare array, None for any other file."""
    if not isinstance(content.value, np.ndarray):
        return None
    rows, (reader, submodule) = without_batch(content.value), _origin(content)
    name = f"{content.name}-{submodule}" if reader == "tgis" and submodule else content.name
    untold = reader in ("npy", "torch")
    if untold:
        require_rows(content, content.path.name, rows)
    method: Method = "unknown" if untold else "prompt_tuning"
    card = Card(name=name, reader=reader, method=method, submodule=submodule)
    return [soft_prompt(content, rows, card)]


def _origin(content: Content) -> tuple[str, Submodule | None]:
    """Which tool wrote the array, and for which half of its model."""
    filename = content.path.name
    if content.container == "npy":
        checkpoint = _CHECKPOINT.match(filename)
        half: Submodule | None = None
        if checkpoint:
            half = "encoder" if checkpoint["half"] == "encoder" else "decoder"
        return ("google" if checkpoint else "npy"), half
    if filename in TGIS_FILES:
        if filename == "encoder.pt":
            return "tgis", "encoder"
        return "tgis", "decoder" if content.beside("encoder.pt") else None
    if filename == "task_prompt" or filename.endswith(".task_prompt"):
        return "thunlp", None
    return ("inspect" if _INSPECT.match(filename) else "torch"), None


def write(prompt: SoftPrompt, path: Path) -> None:
    """Make an `.npy` of the rows [P, H], in float32."""
    with path.open("wb") as file:
        np.save(file, prompt.embeddings, allow_pickle=False)
