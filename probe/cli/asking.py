"""Commands that ask one verb and show what it found: made from the request."""

from __future__ import annotations

import dataclasses
import inspect
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe import requests
from probe.cli.options import Figures, Json, usage_errors
from probe.cli.output import Line, new_place, say, show, write_figures
from probe.cli.requests import takes_requests
from probe.commands import Command, in_cli
from probe.requests import Request, command_of

if TYPE_CHECKING:
    from probe.results import Result


def print_lines(result: Result) -> None:
    """A result whose sentences say all of it."""
    say(*result.headline())


@dataclass(frozen=True)
class Ask:
    """A command that prints what its verb found, as one JSON document or as people read it."""

    of: Command

    def command(self) -> Callable[..., None]:
        """What typer takes."""

        def plain(asked: Any, json: Json = False) -> None:
            self._answer(asked, None, json)

        def drawn(asked: Any, beside: Figures, json: Json = False) -> None:
            self._answer(asked, beside.html, json)

        return made_of_request(self.of, drawn if self.of.figures else plain)

    def _answer(self, asked: Request, html: Path | None, json: bool) -> None:
        place, verb = new_place(html), getattr(self.of.module, self.of.function)
        with Line() as line, usage_errors() if self.of.refuses else nullcontext():
            found = verb(self._told(asked, line))
        if place is not None:
            write_figures(shlex.join(command_of(asked, self.of.name)), found, place)
        show(found, in_cli(self.of.shows), json=json)

    def _told(self, asked: Request, line: Line) -> Request:
        """The request that has its updates shown."""
        if self.of.watched is None:
            return asked
        field, place = self.of.watched
        words = in_cli(place)

        def tell(update: Any) -> None:
            line.show(words(update), now=bool(update.stopped))

        watched: dict[str, Any] = {field: tell}
        return dataclasses.replace(asked, **watched)


def made_of_request(command: Command, made: Callable[..., None], *more: str) -> Callable[[], None]:
    """What typer takes for a command with the options and the words of its request."""
    request = getattr(requests, command.request)
    made.__annotations__["asked"] = request
    made.__doc__ = "\n\n".join([inspect.getdoc(request) or "", *more])
    return takes_requests(made)
