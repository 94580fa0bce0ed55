"""Where things lie, said once for everything that looks."""

from pathlib import Path

import pytest

from probe.datasets import task_names
from probe.errors import WorkspaceError
from probe.paths import home, shipped
from probe.store import Workspace
from probe.tables.cache import cache_folder


def test_the_workspace_and_every_cache_lie_below_the_same_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROBE_HOME", "~/mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == tmp_path / "mine" == Workspace().root
    assert cache_folder().is_relative_to(home()) and Workspace().cache.parent == home()


def test_a_home_relative_to_the_current_folder_stays_where_it_was_when_that_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROBE_HOME", "here")
    kept = cache_folder()
    monkeypatch.chdir("/")
    assert kept == tmp_path / "here" / "cache" / "tables"


def test_a_home_of_nobody_is_one_line_for_the_caches_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_HOME", "~nobody-of-this-name/x")
    with pytest.raises(WorkspaceError, match="set PROBE_HOME"):
        cache_folder()


def test_samples_and_their_tasks_are_looked_for_in_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shipped("sample_prompts") is not None and "mood" in task_names()
    monkeypatch.setattr("probe.paths.PACKAGE", tmp_path / "probe")
    assert shipped("sample_prompts") is None and "mood" not in task_names()
