"""File content in places where Streamlit reads Markdown: shown, never obeyed."""

from __future__ import annotations

import re

from probe.charts import visible

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$~&^=])")


def plain(text: str) -> str:
    """The text escaped for Markdown.

    A colon gets an invisible word joiner behind it, since Streamlit turns `:material/home:` into an
    icon and `:red[…]` into colour even behind a backslash.
    """
    return _MARKS.sub(r"\\\1", visible(text)).replace(":", ":\u2060")
