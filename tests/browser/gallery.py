"""Remake the figures of docs/gallery.md: `python -m tests.browser.gallery [NAME…]`."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.browser.dashboard import find_chromium, launch
from tests.docs.pages import DOCS, figures_made, run

FOLDER = DOCS / "images" / "gallery"
_SIZE = {"width": 900, "height": 640}
_COLOURS = 64
"""Of a picture: figures have few, and a palette keeps them small."""


def shot(page: Page, html: Path) -> bytes:
    """The first figure of a page, or where it has none as much of it as fits."""
    page.goto(html.as_uri())
    figure = page.locator(".js-plotly-plot").first
    if figure.count():
        page.locator(".js-plotly-plot .main-svg").first.wait_for()
        page.wait_for_timeout(800)  # it fades in; a picture cannot be awaited
        return figure.screenshot()
    return page.screenshot()


def write_small(picture: bytes, target: Path) -> None:
    """A picture in few colours."""
    image = (
        Image.open(io.BytesIO(picture))
        .convert("RGB")
        .quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )  # a few marks of a colour keep it
    image.save(target, optimize=True)


def main() -> None:
    """Run each snippet in a folder of its own and take a picture of the page that it writes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, launch(playwright, find_chromium()) as browser:
        page = browser.new_page(viewport=_SIZE)  # type: ignore[arg-type]
        for snippet, name in figures_made(DOCS / "gallery.md"):
            if sys.argv[1:] and name not in sys.argv[1:]:
                continue
            with tempfile.TemporaryDirectory() as folder:
                with contextlib.chdir(folder):
                    run(snippet, {})
                (written,) = re.findall(r"[\w-]+\.html", snippet.code)
                write_small(shot(page, Path(folder) / written), FOLDER / f"{name}.png")
            size = (FOLDER / f"{name}.png").stat().st_size // 1000
            sys.stdout.write(f"{name} {size} kB\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
