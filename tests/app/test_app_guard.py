from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.errors import one_line_errors
from dashboard.shared.markdown import plain
from probe.store import Workspace

CONFIG = Path(__file__).parents[2] / "app" / ".streamlit" / "config.toml"


def _broken_page() -> None:
    from dashboard.shared.errors import one_line_errors

    with one_line_errors():
        raise RuntimeError("secret detail 4711")


def _refusing_page() -> None:
    from dashboard.shared.errors import one_line_errors
    from probe.errors import PromptFormatError

    with one_line_errors():
        raise PromptFormatError("**x.npy** is :red[no] prompt")


def test_an_unexpected_error_is_a_polite_line_and_goes_to_the_log(workspace: Workspace) -> None:
    at = AppTest.from_function(_broken_page).run()
    assert not at.exception
    assert "dashboard" in at.error[0].value
    assert "4711" not in at.error[0].value
    log = (workspace.root / "dashboard.log").read_text()
    assert "RuntimeError: secret detail 4711" in log
    assert "Traceback" in log


def _page_on_a_full_disk() -> None:
    import errno

    from dashboard.shared.errors import one_line_errors

    with one_line_errors():
        raise OSError(errno.ENOSPC, "No space left on device", "/home/me/x")


def test_a_full_disk_and_a_place_for_no_log_are_lines_too(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = AppTest.from_function(_page_on_a_full_disk).run()
    assert plain("disk full at /home/me/x") in at.error[0].value
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "file" / "home"))
    at = AppTest.from_function(_broken_page).run()
    assert not at.exception and "no log can be written" in at.error[0].value


def test_an_expected_error_is_its_own_line_and_stays_plain(workspace: Workspace) -> None:
    at = AppTest.from_function(_refusing_page).run()
    assert at.error[0].value == plain("**x.npy** is :red[no] prompt")
    assert not (workspace.root / "dashboard.log").exists()


def test_streamlit_s_own_control_flow_passes() -> None:
    from streamlit.runtime.scriptrunner import StopException

    with pytest.raises(StopException), one_line_errors():
        raise StopException


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**b**", r"\*\*b\*\*"),
        ("<b>", r"\<b\>"),
        (":material/home:", ":\u2060material/home:\u2060"),
        ("a\nb", "a⏎b"),
        ("$x$", r"\$x\$"),
    ],
)
def test_markdown_is_escaped(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_the_dashboard_is_closed_to_others_by_its_own_settings() -> None:
    config = tomllib.loads(CONFIG.read_text())
    assert config["server"]["address"] == "127.0.0.1"
    assert config["server"]["allowedHosts"] == ["localhost", "127.0.0.1"]
    assert config["server"]["enableXsrfProtection"] is True
    assert config["server"]["fileWatcherType"] == "none"
    assert config["browser"]["gatherUsageStats"] is False
    assert config["client"]["showErrorDetails"] == "none"
    assert config["client"]["toolbarMode"] == "viewer"


def test_both_themes_are_defined_alike() -> None:
    theme = tomllib.loads(CONFIG.read_text())["theme"]
    assert theme["light"].keys() == theme["dark"].keys()


@pytest.mark.parametrize("page", ["library", "runs", "train"])
def test_what_an_action_has_to_say_is_said_on_the_page_it_was_asked_on(
    open_page: Callable[..., AppTest], page: str
) -> None:
    at = open_page(page, state={"said": "disk *full*", "done": "Kept mine."})
    assert plain("disk *full*") in [one.value for one in at.error]
    assert plain("Kept mine.") in [one.value for one in at.success]
    assert "said" not in at.session_state and "done" not in at.session_state
