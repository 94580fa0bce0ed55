"""Commands that ask one verb and show what it found: made from the request."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.cli.options import Figures, Json, usage_errors
from probe.cli.output import new_place, say, show, write_figures
from probe.cli.progress import Line
from probe.cli.requests import takes_requests
from probe.requests import Request, command_of
from probe.requests.base import verb_of

if TYPE_CHECKING:
    from probe.results import Result


def print_lines(result: Result) -> None:
    """A result whose sentences say all of it."""
    say(*result.headline())


@dataclass(frozen=True)
class Ask:
    """A command that prints what its verb found, as one JSON document or as people read it."""

    request: type[Request]
    show: Callable[[Any], None]
    figures: bool = False
    """Whether it has `--html`."""
    refuses: bool = False
    """Whether the verb refuses values by ValueError, which is wrong usage then."""
    watched: tuple[str, Callable[[Any], str]] | None = None
    """The field that is called with every update, and such an update in words."""

    def command(self) -> Callable[..., None]:
        """What typer takes."""

        def plain(asked: Any, json: Json = False) -> None:
            self._answer(asked, None, json)

        def drawn(asked: Any, beside: Figures, json: Json = False) -> None:
            self._answer(asked, beside.html, json)

        made = drawn if self.figures else plain
        made.__annotations__["asked"] = self.request
        made.__doc__ = inspect.getdoc(self.request)
        return takes_requests(made)

    def _answer(self, asked: Request, html: Path | None, json: bool) -> None:
        place, name = new_place(html), verb_of(self.request)
        verb = getattr(importlib.import_module("probe.verbs"), name)
        with Line() as line, usage_errors() if self.refuses else nullcontext():
            found = verb(self._told(asked, line))
        if place is not None:
            write_figures(shlex.join(command_of(asked, name.replace("_", "-"))), found, place)
        show(found, self.show, json=json)

    def _told(self, asked: Request, line: Line) -> Request:
        """The request that has its updates shown."""
        if self.watched is None:
            return asked
        field, words = self.watched

        def tell(update: Any) -> None:
            line.show(words(update), now=bool(update.stopped))

        watched: dict[str, Any] = {field: tell}
        return dataclasses.replace(asked, **watched)
