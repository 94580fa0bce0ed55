"""The order of the whole suite."""

from __future__ import annotations

import pytest

LONGEST = (
    ("tests/browser/test_dashboard.py", "tests/browser/test_training.py",
     "tests/browser/test_wayward.py"),
    ("tests/sweep/", "tests/train/test_checkpoint.py", "tests/cli/test_cli_train.py"),
    ("tests/browser/", "tests/analysis/test_maps.py"),
)  # fmt: skip
"""What waits longest for other processes, one group for each of the three workers of `make test`.

Begun last, these tests would be waited for alone; begun together, each leaves the cores to others.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin every worker's share, a third of the tests, with one group of the longest."""
    left, ordered = list(items), []
    share = len(items) // len(LONGEST)
    for starts in LONGEST:
        first = [item for item in left if item.nodeid.startswith(starts)]
        left = [item for item in left if not item.nodeid.startswith(starts)]
        ordered.append(first)
    items.clear()
    for first in ordered:
        fill = max(0, share - len(first))
        items += [*first, *left[:fill]]
        left = left[fill:]
    items += left
