from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from probe.store import Workspace

APP = Path(__file__).parents[2] / "app"
if str(APP) not in sys.path:
    sys.path.insert(0, str(APP))  # as Streamlit does for the script it runs

Open = Callable[..., AppTest]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace that the pages under test use."""
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # A page under test runs as __main__; processes that later tests start must not run it again.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    return Workspace()


@pytest.fixture
def open_page(workspace: Workspace) -> Open:
    """Open the dashboard from its entry script, at a page and with parameters in the address.

    `state` is what the session knows already, such as fields that were filled in.
    """

    def opened(
        page: str = "library",
        *,
        state: Mapping[str, object] | None = None,
        **parameters: str | list[str],
    ) -> AppTest:
        at = AppTest.from_file(str(APP / "main.py"), default_timeout=60)
        for name, value in (state or {}).items():
            at.session_state[name] = value
        for name, value in parameters.items():
            at.query_params[name] = value
        at.run()
        if page != "library":
            at.switch_page(f"views/{page}.py").run()
        assert not at.exception
        return at

    return opened
