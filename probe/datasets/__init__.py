"""Data files, hub data sets and built-in tasks → `Task` and its examples."""

from __future__ import annotations

from probe.datasets.examples import (
    Columns,
    read_asked,
    read_examples,
    sample,
    split_validation,
    texts_by_label,
)
from probe.datasets.loading import load_task, load_wording, task_name, task_names

__all__ = ["load_task", "sample"]
