from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from probe.prompt import SoftPrompt
from probe.store import Workspace
from tests.browser.dashboard import (
    WAIT_S,
    find_chromium,
    launch,
    let_in,
    running_dashboard,
    settled,
)
from tests.hostile import prompt_rows, write_hostile_model

Visit = Callable[[str], Page]

# Opened below `/`, Streamlit's own page script first asks for these beside the page, then at `/`.
_STREAMLIT_PROBES = ("/_stcore/health", "/_stcore/host-config")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium was found: install chromium to run the browser tests")
    with sync_playwright() as playwright, launch(playwright, executable) as browser:
        yield browser


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one prompt whose vocabulary is hostile."""
    home = tmp_path_factory.mktemp("home")
    model = write_hostile_model(home / "model")
    Workspace(home).save(SoftPrompt("hostile", prompt_rows(), base_model=str(model)))
    return home


@pytest.fixture(scope="module")
def address(chromium: Browser, home: Path) -> Iterator[str]:
    with running_dashboard(home) as address:
        yield address


@pytest.fixture
def visit(chromium: Browser, address: str, home: Path) -> Iterator[Visit]:
    """Open a path of the dashboard; afterwards no error may stand in the console."""
    expect.set_options(timeout=1000 * WAIT_S)
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(1000 * WAIT_S)
    let_in(context, home)
    errors: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith(_STREAMLIT_PROBES):
            errors.append(f"{message.text} ({message.location['url']})")

    def opened(path: str) -> Page:
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address + path)
        return settled(page)

    yield opened
    context.close()
    assert errors == []
