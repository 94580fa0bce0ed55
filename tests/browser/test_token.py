"""The printed address opens the dashboard in a browser; without it there is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from probe.cli.announcing import running_dashboards
from tests.browser.dashboard import WAIT_S, settled

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("kept", [False, True], ids=["printed address", "kept page"])
def test_the_address_opens_every_page_and_leaves_no_token_behind(
    chromium: Browser, address: str, home: Path, kept: bool
) -> None:
    expect.set_options(timeout=1000 * WAIT_S)
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{address}/decode?p=sst2-text")
    expect(page.get_by_text("opens at the address that `probe app` printed")).to_be_visible()
    (printed,) = running_dashboards(home)
    (beside,) = home.glob("dashboard-*.html")
    page.goto(beside.as_uri() if kept else printed)
    expect(page.get_by_role("heading", name="Start", exact=True)).to_be_visible()
    expect(page).to_have_url(f"{address}/")
    page.goto(f"{address}/decode?p=sst2-text")
    expect(page.get_by_text("None of the 20 positions")).to_be_visible()
    settled(page)
    context.close()
