"""The answer first: a page's sentence is painted before its figures keep the browser busy."""

from __future__ import annotations

import time

_PAINT_S = 0.04


def paint_now() -> None:
    """Let the browser paint what the page has said so far.

    Without a breath it gets the whole page at once and shows nothing until Plotly has drawn every
    figure, some hundred milliseconds later.
    """
    time.sleep(_PAINT_S)
