"""The commands and Python snippets of a page, in order, as a reader would run them."""

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(
    r"(?:^<!-- (?P<said>(?:not run )?in tests: [^>]*) -->\n)?"
    r"^```(?P<language>sh|python)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    """A block of a page."""

    language: str
    code: str
    options: str = ""
    """What tests add to its longest commands, so that they do the same in seconds."""
    left_out: str = ""
    """Why it is not run."""


def snippets(page):
    """The blocks of a page; a comment above one may shorten it for tests, or leave it out."""
    found = []
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        kind, _, said = (block["said"] or "").partition(": ")
        shortened, left_out = (said, "") if kind == "in tests" else ("", said)
        found.append(Snippet(block["language"], block["code"], shortened, left_out))
    return found
