"""What installed distributions add to `probe`: formats, measures and tasks, by entry points.

A distribution names what it adds in its pyproject.toml,

    [project.entry-points."probe.measures"]
    overlap = "my_package.closeness:OVERLAP"

and it is imported when it is first asked for. What cannot be used is one note and left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, TypeVar

from probe.errors import ProbeError, words_of
from probe.notes import note

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Entries by name: the built-in ones, then those of installed distributions."""

    def __init__(
        self, group: str, kind: type[T] | tuple[type[T], ...], builtin: Mapping[str, T]
    ) -> None:
        """Name the built-in entries.

        Args:
            group: of entry points, such as `probe.measures`.
            kind: what an entry point must lead to.
            builtin: a distribution cannot take their place.
        """
        self.group, self.builtin = group, builtin
        self._kind = kind
        self._loaded: dict[tuple[str, ...], dict[str, T]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All names; nothing is imported for them."""
        return (*self.builtin, *(one for one in self._points() if one not in self.builtin))

    @property
    def added(self) -> Mapping[str, T]:
        """What distributions add and can be used; imported at the first call."""
        path = tuple(sys.path)
        if path not in self._loaded:
            found = {name: self._load(name, *point) for name, point in self._points().items()}
            self._loaded[path] = {name: one for name, one in found.items() if one is not None}
        return self._loaded[path]

    def __getitem__(self, name: str) -> T:
        """The entry of a name; a built-in one without looking at what is installed."""
        return self.builtin[name] if name in self.builtin else self.added[name]

    def __iter__(self) -> Iterator[str]:
        """The built-in names, then those added."""
        return iter((*self.builtin, *self.added))

    def __len__(self) -> int:
        """How many there are."""
        return len(self.builtin) + len(self.added)

    def _points(self) -> dict[str, tuple[EntryPoint, Distribution]]:
        return _entry_points(self.group, tuple(sys.path))

    def _load(self, name: str, point: EntryPoint, of: Distribution) -> T | None:
        """What an entry point leads to, None after a note where that is of no use."""
        try:
            return self._checked(name, point.load())
        except (Exception, SystemExit) as error:  # code of others may raise anything
            note(
                f"{name!r} of {of.name} {of.version} ({self.group}) cannot be used: "
                f"{words_of(error)}; update or uninstall {of.name}"
            )
            return None

    def _checked(self, name: str, found: object) -> T:
        if name in self.builtin:
            raise ProbeError("probe has one of that name")
        if not isinstance(found, self._kind):
            kinds = self._kind if isinstance(self._kind, tuple) else (self._kind,)
            expected = " or ".join(one.__name__ for one in kinds)
            raise ProbeError(f"expected a {expected}, found a {type(found).__name__}")
        return found


@lru_cache(maxsize=8)
def _entry_points(group: str, path: tuple[str, ...]) -> dict[str, tuple[EntryPoint, Distribution]]:
    """Of each name the first on the path; what a damaged distribution lists is left out."""
    from importlib.metadata import distributions  # reads mail headers, which is slow to import

    found: dict[str, tuple[EntryPoint, Distribution]] = {}
    for one in distributions(path=list(path)):
        try:
            points = list(one.entry_points.select(group=group))
        except Exception as error:  # whatever a damaged list makes the parser raise
            note(f"the entry points of {one.name} cannot be read ({error}): reinstall it")
            continue
        for point in points:
            found.setdefault(point.name, (point, one))
    return found
