"""Remake docs/images: `python -m tests.browser.screenshots [FOLDER]`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, sync_playwright

from probe import verbs
from probe.store import Workspace
from tests.browser.dashboard import (
    WAIT_S,
    find_chromium,
    launch,
    let_in,
    running_dashboard,
    settled,
)

IMAGES = Path(__file__).parents[2] / "docs" / "images"
_THREE = "p=smollm2-sst2-text&p=smollm2-agnews-text&p=smollm2-subj-vocab"
_FIRST = "canvas, .js-plotly-plot, [data-testid=stCode]"
"""A table or a chart, or what a prompt writes on the start page."""
_DRAWN = """() => [...document.querySelectorAll('[data-testid=stPlotlyChart]')]
  .every(chart => chart.querySelector('.main-svg'))"""
PAGES = {
    "start": "/",
    "library": "/library",
    "decode": "/decode?p=smollm2-sst2-text&sel=2",
    "map": f"/map?{_THREE}&at=p:0:2&q=movie",
    "waywardness": "/waywardness?study=wayward-builtin-opinion-30875eb1",
    "compare": "/compare?"
    + "&".join(
        f"p=smollm2-{task}-{start}"
        for task in ("sst2", "agnews", "subj", "trec")
        for start in ("text", "vocab")
    ),
}
SIZES = {"": (1280, 900), "-phone": (390, 844)}
THEMES = ("light", "dark")


def trained(workspace: Workspace) -> Mapping[str, str]:
    """The pages of two short runs, which are made first."""
    settings = {"steps": 60, "length": 8, "batch_size": 8, "eval_every": 10, "eval_examples": 40}
    runs = [
        verbs.train(
            "builtin", "mood", settings | {"seed": seed}, test_examples=100, workspace=workspace
        ).run
        for seed in range(2)
    ]
    return {
        "train": f"/train?{urlencode({'run': runs[0]})}",
        "runs": f"/runs?{urlencode({'run': runs}, doseq=True)}",
    }


def shoot(
    browser: Browser,
    home: Path,
    address: str,
    pages: Mapping[str, str],
    folder: Path,
    *,
    whole: bool,
) -> Iterator[Path]:
    """One picture per page, theme and size."""
    for theme in THEMES:
        for suffix, (width, height) in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=theme
            )
            context.set_default_timeout(1000 * WAIT_S)
            let_in(context, home)
            for name, path in pages.items():
                page = context.new_page()
                page.goto(address + path)
                page.locator(_FIRST).first.wait_for()
                settled(page)
                page.wait_for_function(_DRAWN)
                if whole:
                    tall = page.evaluate(
                        "document.querySelector('[data-testid=stMainBlockContainer]').offsetHeight"
                    )
                    page.set_viewport_size({"width": width, "height": int(tall) + 80})
                page.wait_for_timeout(1500)  # charts fade in; a picture cannot be awaited
                target = folder / f"{name}-{theme}{suffix}.png"
                page.screenshot(path=target)
                yield target
                page.close()
            context.close()


def main() -> None:
    """Write the pictures and name them."""
    executable = find_chromium()
    if executable is None:
        sys.exit("no Chromium was found: install chromium first")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        running_dashboard(Path(home)) as address,
        sync_playwright() as playwright,
        launch(playwright, executable) as browser,
    ):
        pages = PAGES | trained(Workspace(home))
        for path in shoot(browser, Path(home), address, pages, folder, whole=len(sys.argv) > 1):
            sys.stdout.write(f"{path} {path.stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main()
