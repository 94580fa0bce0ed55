from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from probe.prompt import SoftPrompt
from probe.store import Workspace
from tests.browser.dashboard import (
    WAIT_S,
    end_work,
    find_chromium,
    launch,
    let_in,
    running_dashboard,
    settled,
)
from tests.hostile import prompt_rows, write_hostile_model
from tests.trainable import write_task

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


@pytest.fixture(scope="session")
def aside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the dashboard puts what it must write down to read it."""
    return tmp_path_factory.mktemp("aside")


@pytest.fixture(scope="session")
def dashboard(
    chromium: Browser, aside: Path, kept_arrays: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, str]]:
    """The one dashboard of all tests: its workspace and its address.

    Its workspace has a prompt whose vocabulary is hostile, and a task, which forms offer first.
    """
    home = tmp_path_factory.mktemp("home")
    (home / "cache").symlink_to(kept_arrays, target_is_directory=True)
    model = write_hostile_model(home / "model")
    Workspace(home).save(SoftPrompt("hostile", prompt_rows(), base_model=str(model)))
    write_task(home / "tasks" / "moods")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(aside))
        with running_dashboard(home) as address:
            yield home, address


@pytest.fixture
def address(dashboard: tuple[Path, str]) -> str:
    return dashboard[1]


@pytest.fixture
def home(dashboard: tuple[Path, str]) -> Iterator[Path]:
    """The workspace of the dashboard, which is afterwards as it was."""
    home, _ = dashboard
    yield home
    workspace = Workspace(home)
    end_work(workspace)
    for job in (*workspace.runs, *workspace.studies):
        shutil.rmtree(job.path)
    for card in workspace.list():
        if card.id != "hostile@1":
            workspace.remove(card.id)


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
