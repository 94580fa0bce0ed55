"""The commands and Python snippets of a page, in order, as a reader would run them."""

import contextlib
import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from probe.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(
    r"(?:^<!-- (?P<said>(?:not run )?in tests: [^>]*) -->\n)?"
    r"^```(?P<language>sh|python)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_PICTURE = re.compile(r"\n!\[[^\]]+\]\(images/gallery/([\w-]+)\.png\)")
_SHORTENED = ("distill", "train", "wayward", "sweep", "transfer", "ablate", "knock-out")
_OPENS_A_WINDOW = ("app", "demo")


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
    return [_snippet(block) for block in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def figures_made(page):
    """The blocks of a page, each with the name of the picture below it, None without one."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        picture = _PICTURE.match(text, block.end() + 1)
        yield _snippet(block), picture and picture[1]


def run(snippet, seen):
    """Do what a block says, in the present folder.

    Args:
        snippet: of a page.
        seen: what Python blocks before it have defined.
    """
    if snippet.language == "python":
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(snippet.code, "page", "exec"), seen)
        return
    for line in snippet.code.splitlines():
        _run(shlex.split(line, comments=True), snippet.options)


def _snippet(block):
    kind, _, said = (block["said"] or "").partition(": ")
    shortened, left_out = (said, "") if kind == "in tests" else ("", said)
    return Snippet(block["language"], block["code"], shortened, left_out)


def _run(words, options):
    if not words or words[0] != "probe" or words[1] in _OPENS_A_WINDOW:
        return  # pip and the like; the dashboard has tests of its own
    added = shlex.split(options) if words[1] in _SHORTENED else []
    result = CliRunner().invoke(app, [*words[1:], *added])
    assert result.exit_code == 0, f"{shlex.join(words)}: {result.output}"
