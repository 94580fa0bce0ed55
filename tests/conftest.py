"""The order of the whole suite."""

from __future__ import annotations

import pytest

LONGEST_FIRST = (
    "tests/browser/test_training.py",
    "tests/browser/test_wayward.py",
    "tests/sweep/test_ray.py",
    "tests/browser/test_hostile_uploads.py",
    "tests/browser/test_map_compare.py",
    "tests/train/test_checkpoint.py",
    "tests/sweep/",
    "tests/browser/",
)
"""Files and folders whose tests wait for processes; begun last, they would be waited for alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first; all else keeps its order."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    ranks = (n for n, start in enumerate(LONGEST_FIRST) if item.nodeid.startswith(start))
    return next(ranks, len(LONGEST_FIRST))
