"""Standard streams that are closed, homes of nobody, and studies that nobody could train."""

import os
import subprocess
import sys

import pytest

from probe.cli.main import ClosedStream


def _run(home, *arguments, close=()):
    shut = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in close)
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -m probe "$@" {shut}', sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PROBE_HOME": str(home)},
    )


@pytest.mark.process
@pytest.mark.parametrize("arguments", [("library",), ("library", "--json")])
def test_a_closed_stdout_is_one_line(tmp_path, arguments):
    told = _run(tmp_path / "home", *arguments, close=(1,))
    assert told.returncode == 1
    assert told.stderr.startswith("probe: stdout is closed") and told.stderr.count("\n") == 1


@pytest.mark.process
def test_a_closed_stdin_answers_no_question(tmp_path):
    home = tmp_path / "home"
    assert _run(home, "library", "add", "sst2-text").returncode == 0
    told = _run(home, "library", "remove", "sst2-text", close=(0,))
    assert told.returncode == 1 and "unexpected" not in told.stderr
    assert "sst2-text@1" in _run(home, "library", close=(2,)).stdout


def test_nothing_is_written_where_nothing_can_be():
    with pytest.raises(OSError, match="stdout is closed: 3 characters"):
        ClosedStream().write("abc")


@pytest.mark.parametrize("command", [("library",), ("train", "--task", "mood")])
def test_a_home_of_nobody_is_one_line(probe, monkeypatch, command):
    monkeypatch.setenv("PROBE_HOME", "~nouser/x")
    result = probe(*command)
    assert result.code == 1 and "no folder ~nouser/x" in result.err
    assert result.err.count("\n") == 1 and "unexpected" not in result.err


@pytest.mark.parametrize(
    "command",
    [
        ("sweep", "length", "--task", "mood", "--seeds", "1000000000"),
        ("wayward", "--task", "mood", "--seeds", "1000000000", "--model", "builtin"),
    ],
)
def test_a_study_of_a_thousand_million_seeds_is_refused_at_once(probe, command):
    result = probe(*command, "--dry-run")
    assert result.code == 1 and "expected a study of at most 100,000 runs, found" in result.err
