"""`probe report`: all about some prompts on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.options import Json, usage_errors
from probe.cli.output import console, print_json, visible
from probe.cli.requests import takes_requests
from probe.requests import ReportRequest

if TYPE_CHECKING:
    from probe.verbs import Written


@takes_requests
def report(asked: ReportRequest, json: Json = False) -> None:
    """Write all about some prompts into one HTML file that opens anywhere and prints.

    A source may hold several prompts; all that were trained take part. Nothing is overwritten.
    """
    from probe import verbs

    with usage_errors():
        written = verbs.report(asked)
    if json:
        print_json(written.to_json())
    else:
        _print_written(written)


def _print_written(written: Written) -> None:
    for line in written.headline():
        console().print(visible(line), soft_wrap=True)
