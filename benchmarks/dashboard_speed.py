"""Paints, page switches and clicks of the dashboard, in turn with those of empty pages.

A page is meaningful when the sentence that answers its question stands there; it is whole when its
table, figure or form does too. The latter is set beside a page of one row and one bar, because the
browser must read Streamlit's table and Plotly for either.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from dashboard_servers import MODELS, Server, chromium, dashboard, empty_pages
from playwright.sync_api import Locator, Page, sync_playwright
from report import table

from probe.analysis.neighbours import METRIC_NAMES, Metric

ANSWERS = {
    "Library": "[aria-label='All prompts of the library']",
    "Decode": "[aria-label^='Nearest tokens of every position']",
    "Map": "[aria-label^='Map of'] .gl-container canvas",
    "Compare": "[aria-label*='between every two'] .heatmaplayer",
    "Waywardness": ".st-key-w_begin button",
    "Train": ".st-key-begin button",
    "Runs": "[data-testid=stMain] h3",
}
"""What makes each page whole: its table or figure, the button that starts, or what to do."""
SENTENCES = {
    "Library": " prompts for ",
    "Decode": "closer to a token than",
    "Map": "Prompt rows lie among tokens",
    "Compare": "closest",
    "Waywardness": "If a prompt can be constrained to",
    "Train": "Nothing is training",
    "Runs": "No runs yet",
}
"""Part of the sentence that answers each page's question, with the library of this benchmark."""
BARE = ".js-plotly-plot .main-svg"
"""What makes the page of one row and one bar whole."""
# Milliseconds from a page's start, a press or a key to the first frame that shows what is wanted.
# A script that waits from outside is told only when the browser's main thread is free again.
_RECORDER = """
(() => {
  const shows = ({css, text}) => [...document.querySelectorAll(css)].some(
    node => !node.closest('[data-stale=true]') && node.textContent.includes(text));
  const look = () => {
    for (const [what, wanted] of Object.entries(window.wanted ?? {}))
      if (!(what in window.seen) && wanted.every(shows)) {
        window.seen[what] = null;
        requestAnimationFrame(() => setTimeout(() => {
          window.seen[what] = performance.now() - window.began; }));
      }
  };
  window.begin = (wanted, began) => { Object.assign(window, {wanted, seen: {}, began}); };
  const stored = sessionStorage.getItem("wanted");
  if (stored) begin(JSON.parse(stored), 0);
  for (const event of ["pointerdown", "keydown"])
    addEventListener(event, () => { window.began = performance.now(); }, true);
  new MutationObserver(look).observe(
    document, {subtree: true, childList: true, characterData: true, attributes: true});
})();
"""
_SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
_WAIT_MS = 300_000


Wanted = Mapping[str, Sequence[Mapping[str, str]]]
"""By name, what must all be shown: the selector of an element and words in it."""


@dataclass
class Clock:
    """Milliseconds of every event on the dashboard and of its like on an empty page."""

    ours: dict[str, list[float]] = field(default_factory=dict)
    base: dict[str, list[float]] = field(default_factory=dict)

    def take(self, page: Page, act: Callable[[], object], wanted: Wanted) -> None:
        """Act on the dashboard, and note when each wanted thing was painted."""
        _time(self.ours, page, act, wanted)

    def base_of(self, page: Page, act: Callable[[], object], wanted: Wanted) -> None:
        """The like of it, on an empty page."""
        _time(self.base, page, act, wanted)


def _time(
    times: dict[str, list[float]], page: Page, act: Callable[[], object], wanted: Wanted
) -> None:
    script = "wanted => { sessionStorage.wanted = JSON.stringify(wanted); begin(wanted, NaN); }"
    page.evaluate(script, wanted)
    act()
    page.wait_for_function("() => Object.keys(wanted).every(what => seen[what] > 0)")
    for what, ms in page.evaluate("seen").items():
        times.setdefault(what, []).append(ms)
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
        page, blank = (browser.new_page(viewport={"width": 1280, "height": 1000}) for _ in range(2))
        for one, address in ((page, server.address), (blank, empty.address)):
            one.set_default_timeout(_WAIT_MS)
            one.add_init_script(_RECORDER)
            one.goto(f"{address}/_stcore/health")
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
        address = f"{server.address}/{name.lower()}?p={quote(prompt)}"
        what = f"first paint, {name}"
        clock.take(page, partial(page.goto, address), _page(what, name))
        _empty(clock, blank, what, lambda name="": blank.goto(f"{empty.address}/{name}"))


def _switches(clock: Clock, page: Page, blank: Page) -> None:
    for name in ANSWERS:
        what = f"switch to {name}"
        clock.take(page, _link(page, name).click, _page(what, name))
        _empty(clock, blank, what, lambda name="One": _link(blank, name.title()).click())


def _empty(clock: Clock, blank: Page, what: str, go: Callable[..., object]) -> None:
    """The like of a page that says something, and of one that is whole."""
    clock.base_of(blank, go, {f"{what}: says": [_words("h1", "One")]})
    clock.base_of(blank, lambda: go("figure"), {f"{what}: whole": [_words(BARE)]})


def _clicks(clock: Clock, page: Page, blank: Page, prompt: str) -> None:
    """Rounds look at a prompt each, so the first click on a metric has to compute."""
    _link(blank, "Click").click()
    _title(blank, "Click").wait_for()
    blank.locator(_SETTLED).wait_for(state="attached")
    _link(page, "Decode").click()
    page.locator(ANSWERS["Decode"]).first.wait_for(state="attached")
    page.locator(_SETTLED).wait_for(state="attached")
    metrics: dict[str, Metric] = {"computed anew": "l2", "seen before": "cosine"}
    for what, metric in metrics.items():
        made = _words("[data-testid=stCaptionContainer]", f" · {METRIC_NAMES[metric]} · k ")
        radio = page.get_by_role("radio", name=metric)
        _clicked(clock, f"click, a metric on Decode, {what}", page, blank, radio.click, made)
    _link(page, "Library").click()
    table_ = page.locator(ANSWERS["Library"]).first
    table_.wait_for(state="attached")
    page.locator(_SETTLED).wait_for(state="attached")
    box = page.get_by_label("Search", exact=True)
    box.fill(prompt)
    found = _words("[data-testid=stMain] p", "1 shown.")
    _clicked(clock, "search in the Library", page, blank, lambda: box.press("Enter"), found)
    page.get_by_test_id("glide-cell-1-0").filter(has_text=prompt).wait_for(state="attached")
    place = page.get_by_test_id("stDataFrame").bounding_box()
    assert place is not None
    detail = _words("[data-testid=stMain] h3", prompt)
    _clicked(
        clock, "click, a row of the Library", page, blank,
        lambda: page.mouse.click(place["x"] + 18, place["y"] + 52), detail,
    )  # fmt: skip
    box.fill("")
    box.press("Enter")
    page.get_by_role("heading", name=prompt).wait_for(state="detached")
    page.locator(_SETTLED).wait_for(state="attached")


def _clicked(
    clock: Clock,
    what: str,
    page: Page,
    blank: Page,
    act: Callable[[], object],
    seen: Mapping[str, str],
) -> None:
    clock.take(page, act, {what: [seen]})
    switch = blank.get_by_text("Switch", exact=True)
    words = "now off" if blank.get_by_text("now on").count() else "now on"
    clock.base_of(blank, switch.click, {what: [_words("[data-testid=stText]", words)]})


def _page(what: str, name: str) -> Wanted:
    title = _words("h1", name)
    sentence = _words("[data-testid=stMain] :is(h3, p)", SENTENCES[name])
    return {f"{what}: says": [title, sentence], f"{what}: whole": [title, _words(ANSWERS[name])]}


def _words(css: str, text: str = "") -> Mapping[str, str]:
    return {"css": css, "text": text}


def _link(page: Page, name: str) -> Locator:
    return page.get_by_test_id("stTopNavLink").filter(has_text=name)


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
