"""A run killed at any moment goes on as if it had never been."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from probe.errors import TrainingError
from probe.models import FrozenModel
from probe.task import Task
from probe.training import TrainConfig, train
from probe.training.checkpoint import (
    Checkpoint,
    checkpoint_folders,
    read_checkpoint,
    write_checkpoint,
)
from tests import tiny

KILLS = 25  # of each kind of run
_KILLS_S = 880  # a quarter of a minute alone on a core


@pytest.mark.process
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_killed_at_fifty_random_moments_every_method_ends_byte_for_byte_the_same(
    causal_folder: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.training.killed_run",
            causal_folder,
            tmp_path,
            str(KILLS),
            "7",
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=_KILLS_S,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    steps = json.loads(done.stdout)
    for kind in ("rows", "prefixes"):
        assert len(steps[kind]) == KILLS
        assert len(set(steps[kind])) > 8, "the kills came at too few moments"
        whole, killed = tmp_path / kind / "whole", tmp_path / kind / "killed"
        files = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
        assert {path.relative_to(killed) for path in killed.rglob("*") if path.is_file()} == files
        assert {file.name for file in files} >= {"0.safetensors", "1.safetensors", "state.json"}
        for file in files:
            assert (whole / file).read_bytes() == (killed / file).read_bytes(), file


def test_leaving_the_loop_and_saving_is_enough_to_go_on(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    config = TrainConfig(length=3, steps=20, checkpoint_every=100, eval_every=0)
    whole = train(causal, task, config)
    losses = [step.loss_nats for step in whole]
    left = train(causal, task, config, run_folder=tmp_path)
    for step in left:
        if step.step == 7:
            break
    left.save()
    resumed = train(causal, task, config, run_folder=tmp_path, resume=True)
    assert [step.loss_nats for step in resumed] == losses[7:]
    assert (resumed.prompts[0].embeddings == whole.prompts[0].embeddings).all()


def test_a_finished_run_resumes_to_its_prompt_without_a_step(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    config = TrainConfig(length=3, steps=6, eval_every=3)
    first = train(causal, task, config, run_folder=tmp_path)
    assert len(list(first)) == 6
    again = train(causal, task, config, run_folder=tmp_path, resume=True)
    assert list(again) == []
    assert (again.prompts[0].embeddings == first.prompts[0].embeddings).all()
    assert again.prompts[0].metrics == first.prompts[0].metrics


def test_a_finished_run_goes_further_as_if_it_had_been_asked_for_so_many_steps(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    asked = {"length": 3, "eval_every": 3, "schedule": "constant", "dropout": 0.1}
    whole = train(causal, task, TrainConfig(steps=12, **asked))
    losses = [step.loss_nats for step in whole]
    list(train(causal, task, TrainConfig(steps=6, **asked), run_folder=tmp_path))
    further = train(causal, task, TrainConfig(steps=12, **asked), run_folder=tmp_path, resume=True)
    steps = list(further)
    assert [step.step for step in steps] == list(range(7, 13))
    assert [step.loss_nats for step in steps] == losses[6:]
    assert steps[-1].stopped == "finished"
    assert (further.prompts[0].embeddings == whole.prompts[0].embeddings).all()
    with pytest.raises(TrainingError, match="made with steps 12, found 6"):
        train(causal, task, TrainConfig(steps=6, **asked), run_folder=tmp_path, resume=True)


def test_a_prompt_that_had_stopped_before_the_others_takes_no_further_steps(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    def configs(steps: int) -> list[TrainConfig]:
        return [TrainConfig(length=2, steps=steps, eval_every=0, seed=seed) for seed in (0, 1)]

    training = train(causal, task, configs(4), run_folder=tmp_path)
    for step in training:
        if (step.step, step.prompt) == (2, 1):
            training.runs[1].stopped = "early: no better for 2 validations"
    further = train(causal, task, configs(6), run_folder=tmp_path, resume=True)
    assert [(step.prompt, step.step) for step in further] == [(0, 5), (0, 6)]
    assert further.runs[1].step == 2 and str(further.runs[1].stopped).startswith("early")


def test_only_the_last_two_checkpoints_are_kept(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    config = TrainConfig(length=3, steps=9, checkpoint_every=2, eval_every=0)
    list(train(causal, task, config, run_folder=tmp_path))
    assert [path.name for path in checkpoint_folders(tmp_path)] == [
        "step-00000008",
        "step-00000009",
    ]
    assert {path.name for path in (tmp_path / "checkpoints").rglob("*.*")} == {
        "state.safetensors",
        "state.json",
    }


def test_a_new_run_never_mixes_with_an_old_one(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    config = TrainConfig(length=3, steps=2, eval_every=0)
    list(train(causal, task, config, run_folder=tmp_path))
    with pytest.raises(TrainingError, match="holds the checkpoints of a run: resume it, or choose"):
        train(causal, task, config, run_folder=tmp_path)


def test_a_run_is_resumed_only_as_what_it_was(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    config = TrainConfig(length=3, steps=2, eval_every=0)
    list(train(causal, task, config, run_folder=tmp_path))

    def resume(task: Task, config: TrainConfig) -> None:
        train(causal, task, config, run_folder=tmp_path, resume=True)

    with pytest.raises(TrainingError, match="made with seed 0, found 1"):
        resume(task, TrainConfig(length=3, steps=2, eval_every=0, seed=1))
    with pytest.raises(TrainingError, match="other examples than those of task moods"):
        resume(tiny.task(seed=5), config)
    with torch.no_grad():
        causal.embed.weight[9, 0] += 1
    try:
        with pytest.raises(TrainingError, match="model with other weights"):
            resume(task, config)
    finally:
        with torch.no_grad():
            causal.embed.weight[9, 0] -= 1
    with pytest.raises(TrainingError, match="trains 1 prompt, found 2 configurations"):
        train(causal, task, [config, config], run_folder=tmp_path, resume=True)
    with pytest.raises(TrainingError, match="needs the run folder"):
        train(causal, task, config, resume=True)


FILES = ("state.safetensors", "state.json")


def _checkpoint(step: int) -> Checkpoint:
    return Checkpoint(step, "m", [({"a": torch.full((2,), float(step))}, {"b": step})])


@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name in FILES for damage in ("a bit", "half", "gone")]
    + [("SHA256SUMS", "a bit"), ("SHA256SUMS", "half")],
)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_and_written_anew(
    name: str, damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_checkpoint(tmp_path, _checkpoint(3))
    place = write_checkpoint(tmp_path, _checkpoint(4))
    _damage(place / name, damage)
    read = read_checkpoint(tmp_path)
    assert read is not None and read.step == 3 and read.prompts[0][0]["a"].tolist() == [3, 3]
    assert place.name in caplog.text
    write_checkpoint(tmp_path, _checkpoint(4))
    read = read_checkpoint(tmp_path)
    assert read is not None and read.step == 4


def test_a_run_whose_only_checkpoint_is_damaged_says_what_to_do(tmp_path: Path) -> None:
    _damage(write_checkpoint(tmp_path, _checkpoint(3)) / "state.safetensors", "a bit")
    with pytest.raises(TrainingError, match="another sha256.*none before it: start the run anew"):
        read_checkpoint(tmp_path)


def test_checkpoints_without_digests_are_read_as_before(tmp_path: Path) -> None:
    (write_checkpoint(tmp_path, _checkpoint(3)) / "SHA256SUMS").unlink()
    read = read_checkpoint(tmp_path)
    assert read is not None and read.step == 3


def test_a_run_that_was_removed_is_not_brought_back(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_checkpoint(tmp_path / "gone", _checkpoint(3))
    assert not (tmp_path / "gone").exists()


def _damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data if how == "a bit" else data[: len(data) // 2])


def test_what_a_kill_left_half_written_is_overlooked_and_removed(tmp_path: Path) -> None:
    checkpoint = Checkpoint(3, "m", [({"a": torch.ones(2)}, {})])
    aside = tmp_path / "checkpoints" / ".writing-x"
    aside.mkdir(parents=True)
    (aside / "state.json").write_text("{")
    os.utime(aside, (0, 0))
    assert read_checkpoint(tmp_path) is None
    write_checkpoint(tmp_path, checkpoint)
    assert not aside.exists()
    assert [path.name for path in checkpoint_folders(tmp_path)] == ["step-00000003"]
