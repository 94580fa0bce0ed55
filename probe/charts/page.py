"""Figures on one page that opens anywhere: nothing is loaded from a network."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.io import to_html

if TYPE_CHECKING:
    import pandas as pd

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<title>{title}</title>
<style>
body {{ margin: 0 auto; max-width: 70rem; padding: 2.5rem 1.25rem; background: #fff; color: #1b1f24;
  font: 16px/1.55 system-ui, sans-serif; }}
h1 {{ font-size: 1.6rem; overflow-wrap: anywhere; }} h2 {{ font-size: 1.1rem; margin-top: 2.5rem; }}
.wide {{ overflow-x: auto; }} table {{ border-collapse: collapse; font-size: .85rem; }}
th, td {{ padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #dde2e7; }}
</style></head><body><h1>{title}</h1>
"""


def figures_html(
    title: str,
    figures: Mapping[str, go.Figure],
    *,
    made: str = "",
    table: pd.DataFrame | None = None,
) -> str:
    """A page with every figure under its heading.

    Args:
        title: of the page; any text.
        figures: by heading.
        made: how, in a paragraph before the figures; any text.
        table: stands before the figures; its cells may hold any text.
    """
    parts = [_HEAD.format(title=html.escape(title))]
    if made:
        parts.append(f"<p>{html.escape(made)}</p>\n")
    if table is not None:
        cells = table.to_html(index=False, border=0, na_rep="–", float_format="{:.3f}".format)
        parts.append(f'<div class="wide">{cells}</div>\n')
    for place, (heading, figure) in enumerate(figures.items()):
        drawn = to_html(figure, include_plotlyjs=place == 0, full_html=False)
        parts.append(f"<h2>{html.escape(heading)}</h2>\n{drawn}\n")
    return "".join([*parts, "</body></html>\n"])
