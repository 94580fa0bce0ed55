"""A real dashboard in a process of its own and a real Chromium to look at it with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, TimeoutError, expect

from probe import jobs
from probe.cli.announcing import running_dashboards
from probe.errors import TrainingError
from probe.store import Workspace
from tests.servers import free_port, wait_until_healthy

CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--enable-unsafe-swiftshader",
]
WAIT_S = 60.0
"""Longest wait for anything on a busy machine."""


def find_chromium() -> str | None:
    """The system's Chromium or Chrome, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


def launch(playwright: Playwright, executable: str) -> Browser:
    """The system's Chromium, without its sandbox, which containers refuse."""
    return playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)


@contextmanager
def running_dashboard(home: Path, port: int | None = None) -> Iterator[str]:
    """Run `probe app` on a free port, or a given one, with a workspace; yields its address."""
    port = port or free_port()
    probe = [sys.executable, "-c", "from probe.cli.main import run; run()"]
    command = [*probe, "app", "--port", str(port), "--workspace", str(home), "--no-browser"]
    env = os.environ | {"HF_HUB_OFFLINE": "1"}
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=home)
        try:
            wait_until_healthy(server, port, home / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=WAIT_S)


def let_in(context: BrowserContext, home: Path) -> None:
    """Give a browser's context the cookie of the dashboards that run on a workspace."""
    for address in running_dashboards(home):
        assert context.request.get(address).ok


def kill_dashboard(port: int) -> None:
    """End every process of the dashboard on a port as the system would: without a word."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if f"--server.port={port}" in words or words[-5:-3] == ["--port", str(port)]:
            with suppress(psutil.NoSuchProcess):  # it ended with the one that was killed before
                process.kill()


def end_work(workspace: Workspace) -> None:
    """End the trainings and studies of a workspace, if any are at work."""
    for run in workspace.runs:
        with suppress(TrainingError):  # it has just ended
            if jobs.view(workspace, run).active:
                jobs.cancel(workspace, run.id)
    for study in workspace.studies:
        with suppress(TrainingError):
            if jobs.view(workspace, study).active:
                jobs.cancel(workspace, study.id)


def settled(page: Page) -> Page:
    """The page once the script has run and nothing is marked stale."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_attached(
        timeout=1000 * WAIT_S
    )
    return page


def choose_model(page: Page, name: str) -> None:
    """Name a form's base model; the one it offers first may be a large one."""
    form = page.get_by_test_id("stMainBlockContainer")
    box = form.get_by_role("combobox", name="Base model")
    expect(box).to_be_visible()
    for wait_s in (5, 10, WAIT_S):  # a form that is still being drawn closes the list
        settled(page)
        box.fill("")
        box.fill(name)
        with suppress(TimeoutError):  # Enter may come before the list does
            page.get_by_role("option", name=name).first.click(timeout=1000 * wait_s)
            break
    expect(page.get_by_test_id("stCode").last).to_contain_text(f"--model {name} ")
