"""Options that take a name of a registry: one of ours, or one that a distribution adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from probe.cli.completion import offered
from probe.formats.registry import WRITTEN, writable_formats
from probe.measures import MEASURES
from probe.requests.base import Completion


def named_in(ours: Iterable[str], every: Callable[[], Iterable[str]]) -> dict[str, Any]:
    """What typer has to know of such an option.

    Args:
        ours: the names that the help lists.
        every: these and those that distributions add; asked where a name is none of ours.
    """
    names = tuple(ours)

    def parse(name: str) -> str:
        if name not in names and name not in (known := tuple(every())):
            raise ValueError(f"{name!r} is not one of {', '.join(map(repr, known))}.")
        return name

    def complete(incomplete: str) -> list[str]:
        return offered(every(), incomplete)

    return {"parser": parse, "autocompletion": complete, "metavar": f"<{'|'.join(names)}>"}


NAMED: dict[Completion, dict[str, Any]] = {
    "measure": named_in(MEASURES.builtin, lambda: MEASURES.names),
    "layout": named_in(WRITTEN, writable_formats),
}
"""By what a field of a request is a name of."""
