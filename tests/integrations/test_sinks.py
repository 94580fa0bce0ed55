"""What is seen of a training goes to the trackers people use, and can be read there."""

from __future__ import annotations

import importlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import probe
from probe.errors import ProbeError
from probe.integrations import Observation, PromptWatch
from tests.waiting import until

pytestmark = pytest.mark.slow
TRACKERS = ("tensorboard", "trackio", "wandb")


def watch_two_steps(model: str, tracker: str, **more: Any) -> Path:
    """Watch a prompt of two rows of sixteen ones that doubles; the run's folder."""
    with PromptWatch(model, sinks=[tracker], name="mine", **more) as watch:
        watch.step(torch.ones(2, 16), step=0)
        watch.step(torch.ones(2, 16) * 2, step=7)
    return Path(probe.runs()[0].folder)


def test_tensorboard_has_the_numbers_over_the_steps_and_the_readings(
    model: str, home: Path
) -> None:
    events = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    folder = watch_two_steps(model, "tensorboard")
    (file,) = folder.rglob("events*")
    read = events.EventAccumulator(str(file)).Reload()
    norms = [(one.step, one.value) for one in read.Scalars("prompt/norm")]
    assert norms == [(0, pytest.approx(4)), (7, pytest.approx(8))]
    (first, _) = read.Tensors("prompt/reading/nearest/text_summary")
    assert first.tensor_proto.string_val[0]


@pytest.fixture
def trackio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The library, imported anew, as it looks at its folder's name once."""
    for name in [one for one in sys.modules if one.partition(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    yield importlib.import_module("trackio")
    for name in [one for one in sys.modules if one.partition(".")[0] == "trackio"]:
        del sys.modules[name]


def _trackio_rows(folder: Path, project: str) -> list[tuple[str, int, str]]:
    with sqlite3.connect(folder / "trackio" / f"{project}.db") as base:
        asked = "SELECT run_name, step, CAST(metrics AS TEXT) FROM metrics ORDER BY id"
        return base.execute(asked).fetchall()


def test_trackio_has_a_run_of_its_own_or_the_one_that_is_open(
    model: str, home: Path, tmp_path: Path, trackio: Any
) -> None:
    watch_two_steps(model, "trackio")
    rows = _trackio_rows(tmp_path, "probe")
    assert [step for _, step, _ in rows] == [0, 7] and '"prompt/norm":8.0' in rows[1][2]
    trackio.init(project="theirs", name="run")
    watch_two_steps(model, "trackio")
    trackio.log({"loss": 1.0}, step=8)
    trackio.finish()
    assert [one[:2] for one in _trackio_rows(tmp_path, "theirs")] == [
        ("run", 0), ("run", 7), ("run", 8)
    ]  # fmt: skip


@pytest.mark.process
def test_weights_and_biases_keeps_a_run_offline_or_takes_the_one_that_is_open(
    model: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = importlib.import_module("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    (file,) = watch_two_steps(model, "wandb").rglob("*.wandb")
    until(lambda: b"prompt/norm" in file.read_bytes())  # its process writes on after the end
    with wandb.init(project="theirs", mode="offline", dir=str(tmp_path)) as open_run:
        assert not list(watch_two_steps(model, "wandb").rglob("*.wandb"))
        assert wandb.run is open_run
        assert open_run.summary["prompt/norm"] == pytest.approx(8)


def test_a_tracker_that_is_not_installed_is_one_line_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    for tracker in TRACKERS:
        monkeypatch.setitem(sys.modules, tracker, None)
        line = rf"{tracker} is not installed: run `pip install {tracker}`"
        with pytest.raises(ProbeError, match=line):
            PromptWatch(sinks=[tracker])


class Breaking:
    """A tracker that takes nothing."""

    def write(self, seen: Observation) -> None:
        raise RuntimeError("no network")

    def close(self) -> None:
        raise RuntimeError("no network")


def test_a_tracker_that_breaks_ends_no_training(
    model: str, home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = tmp_path / "seen.jsonl"
    with PromptWatch(model, sinks=[Breaking(), lines], name="mine") as watch:
        watch.step(torch.ones(2, 16), step=0)
        watch.step(torch.ones(2, 16) * 2, step=7)
    assert len(lines.read_text().splitlines()) == 2
    assert probe.runs()[0].state == "finished"
    assert caplog.text.count("what Breaking is given is not recorded any more") == 1


def test_a_tracker_that_cannot_be_opened_is_refused_before_anything_is_seen(
    model: str, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProbeError, match="seen.jsonl cannot be opened .*: mend that, or leave it"):
        PromptWatch(model, sinks=tmp_path / "file" / "seen.jsonl").step(torch.ones(2, 16), step=0)
    assert probe.runs()[0].state == "failed"
