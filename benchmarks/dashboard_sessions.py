"""Many browser sessions at once: no errors, and nobody sees what another has chosen."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from dashboard_servers import CHROMIUM_FLAGS, Server, dashboard, find_chromium
from playwright.async_api import Browser, Error, Locator, Page, async_playwright, expect
from report import table

from probe.analysis.neighbours import METRIC_NAMES, Metric

METRICS: tuple[Metric, ...] = ("l2", "dot", "cosine")
_WAIT_MS = 300_000
"""Twenty browsers and the server share the machine's cores."""
_SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
# Opened below `/`, Streamlit's own page script first asks for these beside the page, then at `/`.
_STREAMLIT_PROBES = ("/_stcore/health", "/_stcore/host-config")


@dataclass
class Session:
    """One visitor with a prompt and a number of neighbours of its own."""

    page: Page
    prompt: str
    k: int
    answers_ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Errors of the page and of the console, and whatever was another's."""

    def listen(self) -> None:
        """Keep what the browser calls an error."""
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on(
            "console",
            lambda said: (
                self.wrong.append(f"{said.text} ({said.location['url']})")
                if said.type == "error" and not said.location["url"].endswith(_STREAMLIT_PROBES)
                else None
            ),
        )

    async def open(self, address: str) -> None:
        """Read the page's scripts for the first time: sessions share no cache."""
        self.page.set_default_timeout(_WAIT_MS)
        try:
            await self.page.goto(f"{address}/decode?p={quote(self.prompt)}&k={self.k}")
            await self._made_with("cosine").wait_for(state="attached")
        except Error as error:
            self.wrong.append(str(error))

    async def work(self, address: str, until: float) -> None:
        """Decode, change the metric, search the Library, until the time is over."""
        try:
            while time.monotonic() < until:
                await self._decode(address)
                await self._library(address)
        except (AssertionError, Error) as error:
            self.wrong.append(str(error))

    async def _decode(self, address: str) -> None:
        view = f"{address}/decode?p={quote(self.prompt)}&k={self.k}"
        await self._answered(self.page.goto(view, wait_until="commit"), self._made_with("cosine"))
        for metric in METRICS:
            click = self.page.get_by_role("radio", name=metric).click()
            await self._answered(click, self._made_with(metric))
            await self._is_my_own(f"m={metric}" if metric != "cosine" else "")

    async def _library(self, address: str) -> None:
        view = f"{address}/?p={quote(self.prompt)}&find={quote(self.prompt)}"
        first = self.page.get_by_test_id("glide-cell-1-0").filter(has_text=self.prompt)
        await self._answered(self.page.goto(view, wait_until="commit"), first)
        if await self.page.get_by_test_id("glide-cell-1-1").count():
            self.wrong.append("the Library shows more than what was searched")
        await self._is_my_own("find=")

    def _made_with(self, metric: Metric) -> Locator:
        made = f"^{self.prompt} · base model .* · {METRIC_NAMES[metric]} · k {self.k} · "
        return self.page.get_by_test_id("stCaptionContainer").filter(has_text=re.compile(made))

    async def _answered(self, act: Awaitable[object], seen: Locator) -> None:
        start = time.perf_counter()
        await act
        await seen.wait_for(state="attached")
        self.answers_ms.append(1000 * (time.perf_counter() - start))

    async def _is_my_own(self, part: str) -> None:
        await expect(self.page.locator(_SETTLED)).to_be_attached(timeout=_WAIT_MS)
        group = self.page.get_by_role("group", name="Selected values")
        chosen = await group.first.all_inner_texts()
        if chosen != [self.prompt]:
            self.wrong.append(f"expected {self.prompt} to be chosen, found {chosen}")
        if f"p={quote(self.prompt)}" not in self.page.url or part not in self.page.url:
            self.wrong.append(f"{self.prompt} lost its address: {self.page.url}")
        alerts = await self.page.get_by_role("alert").all_inner_texts()
        traces = await self.page.get_by_test_id("stException").count()
        if alerts or traces:
            self.wrong.append(f"{traces} exceptions, alerts {alerts}")


def besiege(home: Path, ids: Sequence[str], sessions: int, seconds: float) -> str:
    """Open the sessions, let them work, and report what went wrong.

    Raises:
        SystemExit: a session met an error or what another had chosen.
    """
    with dashboard(home) as server:
        before = server.rss_mb()
        visitors, took_s = asyncio.run(_all(server, ids, sessions, seconds))
        after = server.rss_mb()
    wrong = [f"{one.prompt}: {what}" for one in visitors for what in one.wrong]
    if wrong:
        raise SystemExit("\n".join(wrong))
    answers = [ms for one in visitors for ms in one.answers_ms]
    median_ms, slow_ms = statistics.median(answers), statistics.quantiles(answers, n=20)[-1]
    return table(
        ["what", "found"],
        [
            ["sessions at once", f"{len(visitors)}"],
            ["worked for", f"{took_s:.0f} s"],
            ["answers", f"{len(answers):,}; the fewest of a session {_fewest(visitors)}"],
            ["errors on pages or in consoles", "0"],
            ["views that were another session's", "0"],
            ["median answer, 95th percentile", f"{median_ms:,.0f} ms, {slow_ms:,.0f} ms"],
            ["memory of the server before and after", f"{before:,.0f} MB, {after:,.0f} MB"],
        ],
    )  # fmt: skip


def _fewest(visitors: Sequence[Session]) -> int:
    return min(len(one.answers_ms) for one in visitors)


async def _all(
    server: Server, ids: Sequence[str], sessions: int, seconds: float
) -> tuple[list[Session], float]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(), args=list(CHROMIUM_FLAGS)
        )
        visitors = [await _visitor(browser, ids[-1 - n], 2 + n % 18) for n in range(sessions)]
        for visitor in visitors:
            await visitor.open(server.address)
        start = time.monotonic()
        await asyncio.gather(*(one.work(server.address, start + seconds) for one in visitors))
        took_s = time.monotonic() - start
        await browser.close()
    return visitors, took_s


async def _visitor(browser: Browser, prompt: str, k: int) -> Session:
    context = await browser.new_context(viewport={"width": 1280, "height": 1000})
    session = Session(await context.new_page(), prompt, k)
    session.listen()
    return session
