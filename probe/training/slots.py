"""Templates that say where the virtual tokens stand: `{prompt:3}{text} It was{prompt:2}`."""

from __future__ import annotations

import re

from probe.errors import TrainingError

_SLOT = re.compile(r"\{prompt:([0-9]{1,5})\}")


def slot_sizes(template: str) -> tuple[int, ...]:
    """Virtual tokens of each slot, in order.

    Raises:
        TrainingError: there is no slot, or an empty one.
    """
    sizes = tuple(int(size) for size in _SLOT.findall(template))
    if not sizes or 0 in sizes:
        raise TrainingError(
            "a template says where the virtual tokens stand, as {prompt:3}, "
            f"found none in {template!r}"
        )
    return sizes
