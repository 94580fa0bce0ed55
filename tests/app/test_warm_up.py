"""The public demo draws its pages once before it listens."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit import config
from streamlit.runtime import Runtime
from streamlit.testing.v1 import AppTest

from dashboard.shared.warm_up import COLD, warmed

SCRIPT = """
from pathlib import Path
import streamlit as st
def draw():
    with (Path(__file__).parent / "drawn.txt").open("a") as file:
        print(page.url_path, file=file)
    assert page.url_path != "broken"
paths = ("first", "broken", "last")
page = st.navigation([st.Page(draw, title=path, url_path=path) for path in paths])
page.run()
"""


def _started(script: Path, pages: list[str]) -> list[str]:
    """What is drawn of a dashboard by the time it listens."""
    app = st.App(script, lifespan=warmed(pages))
    drawn: list[str] = []

    async def receive() -> dict[str, str]:
        asked = "shutdown" if drawn else "startup"
        return {"type": f"lifespan.{asked}"}

    async def send(message: dict[str, str]) -> None:
        if message["type"] == "lifespan.startup.complete":
            file = script.with_name("drawn.txt")
            drawn.extend(file.read_text().splitlines() if file.exists() else ["nothing"])

    asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    return drawn


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(Runtime, "_instance", None)
    monkeypatch.setenv("PROBE_DEMO", "1")
    (tmp_path / "main.py").write_text(SCRIPT)
    # As every dashboard has it: else Streamlit watches all folders below the present one.
    watched = config.get_option("server.fileWatcherType")
    config.set_option("server.fileWatcherType", "none")
    yield tmp_path / "main.py"
    config.set_option("server.fileWatcherType", watched)
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # Streamlit leaves an event loop open


def test_every_page_is_drawn_before_the_demo_listens_and_a_broken_one_holds_nobody_up(
    script: Path,
) -> None:
    assert _started(script, ["", "broken", "last"]) == ["", "broken", "last"]


@pytest.mark.parametrize("variable", [("PROBE_DEMO", "0"), (COLD, "1")])
def test_a_dashboard_of_ones_own_listens_at_once_and_so_does_a_demo_that_is_told_to(
    variable: tuple[str, str], script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*variable)
    assert _started(script, [""]) == ["nothing"]


def _page() -> None:
    from dashboard.shared.warm_up import keep_for_good

    keep_for_good("a page")


def test_what_a_page_loaded_is_not_looked_through_again() -> None:
    loaded: list[object] = []
    assert any(one is loaded for one in gc.get_objects())
    AppTest.from_function(_page).run()
    assert not any(one is loaded for one in gc.get_objects())
