"""Paints, page switches and clicks of the dashboard, in turn with those of empty pages.

A page is meaningful when the sentence that answers its question stands there; it is whole when its
table, figure or form does too. The latter is set beside a page of one row and one bar, because the
browser must read Streamlit's table and Plotly for either.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from dashboard_servers import MODELS, Server, chromium, dashboard, empty_pages
from playwright.sync_api import Locator, Page, sync_playwright
from report import table

from probe.charts.labels import METRIC_NAMES

ANSWERS = {
    "Library": "[aria-label='All prompts of the library']",
    "Decode": "[aria-label^='Nearest tokens of every position']",
    "Map": "[aria-label^='Map of'] .gl-container canvas",
    "Compare": "[aria-label*='between every two'] .heatmaplayer",
    "Waywardness": ".st-key-w_begin button",
    "Train": ".st-key-begin button",
    "Runs": "text=No runs yet",
}
"""What makes each page whole: its table or figure, the button that starts, or what to do."""
SENTENCES = {
    "Library": " prompts for ",
    "Decode": "closer to a token than chance",
    "Map": "Prompt rows lie among tokens",
    "Compare": "are the closest of ",
    "Waywardness": "No study yet",
    "Train": "Nothing is training",
    "Runs": "No runs yet",
}
"""Part of the sentence that answers each page's question, with the library of this benchmark."""
EMPTY = ("One", "Two")
BARE = ".js-plotly-plot .main-svg"
"""What makes the page of one row and one bar whole."""
_SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
_WAIT_MS = 300_000


@dataclass
class Clock:
    """Milliseconds of every event on the dashboard and of its like on an empty page."""

    ours: dict[str, list[float]] = field(default_factory=dict)
    base: dict[str, list[float]] = field(default_factory=dict)

    def take(self, page: Page, act: Callable[[], object], **seen: Locator) -> None:
        """Act on the dashboard, and wait until each answer is seen."""
        self._time(self.ours, page, act, seen)

    def base_of(self, page: Page, act: Callable[[], object], **seen: Locator) -> None:
        """The like of it, on an empty page."""
        self._time(self.base, page, act, seen)

    def _time(
        self,
        times: dict[str, list[float]],
        page: Page,
        act: Callable[[], object],
        seen: dict[str, Locator],
    ) -> None:
        start = time.perf_counter()
        act()
        for what, locator in seen.items():
            locator.wait_for(state="attached")
            times.setdefault(what, []).append(1000 * (time.perf_counter() - start))
        page.locator(_SETTLED).wait_for(state="attached")  # the rest must not weigh on the next


def race(home: Path, ids: Sequence[str], rounds: int) -> str:
    """Medians of some rounds, after one per base model that warms servers and tabs, as a report."""
    clock, first = Clock(), Clock()
    with (
        dashboard(home) as server,
        empty_pages(home.parent) as empty,
        sync_playwright() as playwright,
        chromium(playwright) as browser,
    ):
        memory = [(server.rss_mb(), empty.rss_mb())]
        page, blank = (browser.new_page(viewport={"width": 1280, "height": 1000}) for _ in EMPTY)
        for one in (page, blank):
            one.set_default_timeout(_WAIT_MS)
        for number in range(rounds + len(MODELS)):
            kept = first if number < len(MODELS) else clock
            _paints(kept, page, blank, server, empty, ids[number])
            _switches(kept, page, blank)
            _clicks(kept, page, blank, ids[number])
            if number in (0, rounds + len(MODELS) - 1):
                memory.append((server.rss_mb(), empty.rss_mb()))
    return f"{_times(clock, first)}\n\n{_memory(memory, rounds)}"


def _paints(
    clock: Clock, page: Page, blank: Page, server: Server, empty: Server, prompt: str
) -> None:
    for name in ANSWERS:
        path = "" if name == "Library" else name.lower()
        address = f"{server.address}/{path}?p={quote(prompt)}"
        said, whole = f"first paint, {name}: says", f"first paint, {name}: whole"
        seen = {said: _sentence(page, name), whole: page.locator(ANSWERS[name]).first}
        clock.take(page, lambda address=address: page.goto(address, wait_until="commit"), **seen)
        _empty(clock, blank, said, whole, lambda name="": blank.goto(f"{empty.address}/{name}"))


def _switches(clock: Clock, page: Page, blank: Page) -> None:
    for name in ANSWERS:
        said, whole = f"switch to {name}: says", f"switch to {name}: whole"
        seen = {said: _sentence(page, name), whole: page.locator(ANSWERS[name]).first}
        clock.take(page, _link(page, name).click, **seen)
        _empty(clock, blank, said, whole, lambda name="one": _link(blank, name.title()).click())


def _empty(clock: Clock, blank: Page, said: str, whole: str, go: Callable[..., object]) -> None:
    """The like of a page that says something, and of one that is whole."""
    clock.base_of(blank, go, **{said: _title(blank, EMPTY[0])})
    clock.base_of(blank, lambda: go("figure"), **{whole: blank.locator(BARE).first})


def _clicks(clock: Clock, page: Page, blank: Page, prompt: str) -> None:
    """Rounds look at a prompt each, so the first click on a metric has to compute."""
    _link(blank, "Click").click()
    _title(blank, "Click").wait_for()
    blank.locator(_SETTLED).wait_for(state="attached")
    _link(page, "Decode").click()
    page.locator(ANSWERS["Decode"]).first.wait_for(state="attached")
    page.locator(_SETTLED).wait_for(state="attached")
    for what, metric in (("computed anew", "l2"), ("seen before", "cosine")):
        made = page.get_by_test_id("stCaptionContainer").filter(has_text=METRIC_NAMES[metric])
        radio = page.get_by_role("radio", name=metric)
        _clicked(clock, f"click, a metric on Decode, {what}", page, blank, radio.click, made)
    _link(page, "Library").click()
    table_ = page.locator(ANSWERS["Library"]).first
    table_.wait_for(state="attached")
    page.locator(_SETTLED).wait_for(state="attached")
    box = page.get_by_label("Search", exact=True)
    box.fill(prompt)
    found = page.get_by_text(" 1 shown.")
    _clicked(clock, "search in the Library", page, blank, lambda: box.press("Enter"), found)
    page.get_by_test_id("glide-cell-1-0").filter(has_text=prompt).wait_for(state="attached")
    place = page.get_by_test_id("stDataFrame").bounding_box()
    assert place is not None
    detail = page.get_by_role("heading", name=prompt)
    _clicked(
        clock, "click, a row of the Library", page, blank,
        lambda: page.mouse.click(place["x"] + 18, place["y"] + 52), detail,
    )  # fmt: skip
    box.fill("")
    box.press("Enter")
    detail.wait_for(state="detached")
    page.locator(_SETTLED).wait_for(state="attached")


def _clicked(
    clock: Clock, what: str, page: Page, blank: Page, act: Callable[[], object], seen: Locator
) -> None:
    clock.take(page, act, **{what: seen})
    switch = blank.get_by_text("Switch", exact=True)
    words = "now off" if blank.get_by_text("now on").count() else "now on"
    clock.base_of(blank, switch.click, **{what: blank.get_by_text(words)})


def _link(page: Page, name: str) -> Locator:
    return page.get_by_test_id("stTopNavLink").filter(has_text=name)


def _sentence(page: Page, name: str) -> Locator:
    main = page.get_by_test_id("stMain").filter(has=_title(page, name))
    return main.get_by_text(SENTENCES[name]).first


def _title(page: Page, name: str) -> Locator:
    return page.get_by_role("heading", name=name, exact=True)


def _times(clock: Clock, first: Clock) -> str:
    header = ["what", "dashboard, ms", "empty page, ms", "ratio", "more, ms", "first ever, ms"]
    rows = []
    for what, ours in clock.ours.items():
        mine, base = statistics.median(ours), statistics.median(clock.base[what])
        rows.append(
            [what, f"{mine:.0f}", f"{base:.0f}", f"{mine / base:.2f}", f"{mine - base:+.0f}",
             f"{first.ours[what][0]:.0f}"]
        )  # fmt: skip
    return table(header, rows)


def _memory(memory: Sequence[tuple[float, float]], rounds: int) -> str:
    times = ("after the start", "after the first round", f"after {rounds + len(MODELS)} rounds")
    rows = [
        [when, *(f"{mb:,.0f}" for mb in both)] for when, both in zip(times, memory, strict=True)
    ]
    return table(["memory of the server, resident", "dashboard, MB", "empty page, MB"], rows)
