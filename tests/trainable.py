"""A model and a task on disk that take milliseconds per step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from probe.task import Example
from tests import tiny

LIGHT = {"steps": 6, "length": 3, "batch_size": 4, "eval_every": 3, "checkpoint_every": 2}
"""A training that is over at once."""


def write_model(folder: Path) -> Path:
    """A random Llama."""
    return tiny.save_causal(folder)


def write_task(folder: Path) -> Path:
    """Two label words, 24 training, 8 validation and 10 test examples."""
    task = tiny.task(34, validation=8)
    folder.mkdir(parents=True)
    words = json.dumps(list(task.label_words))
    template = json.dumps(task.template)
    (folder / "task.toml").write_text(f"template = {template}\nlabel_words = {words}\n")
    write_rows(folder / "train.jsonl", task.train[:24])
    write_rows(folder / "validation.jsonl", task.validation)
    write_rows(folder / "test.jsonl", task.train[24:])
    return folder


def write_rows(path: Path, examples: Sequence[Example]) -> None:
    rows = [json.dumps({"text": one.text, "label": one.label}) for one in examples]
    path.write_text("".join(f"{row}\n" for row in rows))
