"""Drift of a run: what its checkpoints and its finished prompt still tell."""

import numpy as np
import pytest
import torch

from probe.errors import TrainingError, WorkspaceError
from probe.formats.layouts import probe_file
from probe.prompt import SoftPrompt
from probe.store import JobConfig, Workspace
from probe.store.job_status import Status
from probe.tables import load_vocabulary
from probe.training.checkpoint import Checkpoint, write_checkpoint
from probe.verbs.drifting import drift, number_in_run, trajectory

IDS = (100, 200, 300)


@pytest.fixture(scope="module")
def vocabulary():
    return load_vocabulary("builtin")


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def keep_trajectory(run, rows_by_step, model="builtin"):
    """What a worker keeps of a prompt on its way."""
    run.trajectory.mkdir()
    for step, rows in rows_by_step.items():
        path = run.trajectory / f"prompt-0-step-{step:08d}.safetensors"
        probe_file.write(SoftPrompt(f"step-{step}", rows, model, metrics={"step": step}), path)


def _run(workspace, rows_by_step, method="prompt_tuning", **training):
    config = JobConfig(
        "train",
        name="mood",
        request={
            "model": "builtin",
            "task": "sst2",
            "training": {"method": method, "steps": 30, **training},
        },
        created="2026-01-02T03:04:05+00:00",
    )
    folder = workspace.runs.create(config, Status("finished", queued_at=1.0))
    for step, rows in rows_by_step.items():
        state = {"module.rows": torch.from_numpy(rows)}, {"config": {"method": method}}
        write_checkpoint(folder.path, Checkpoint(step, "model", [state]))
    return folder


def test_distances_count_from_the_start_when_the_finished_prompt_knows_it(workspace, vocabulary):
    start = vocabulary.rows(list(IDS))
    moved = {10: start + 1, 20: start + 2, 30: vocabulary.rows([100, 7, 300])}
    run = _run(workspace, moved)
    workspace.save(SoftPrompt("mood", moved[30], init_token_ids=IDS, config={"run": run.id}))
    found = drift("mood", workspace=workspace)
    assert found.steps == (0, 20, 30)  # the first of three checkpoints is no longer kept
    np.testing.assert_allclose(found.distance[1], 2 * np.sqrt(320), rtol=1e-5)
    np.testing.assert_allclose(found.distance[2][[0, 2]], 0)
    assert found.tokens[0] == tuple(vocabulary.tokens[i] for i in IDS)
    assert found.nearest[2].tolist() == [100, 7, 300]


def test_distances_count_from_the_rows_of_the_prompt_it_started_from(workspace, vocabulary):
    """Not from the tokens that the other prompt had started from."""
    rows = vocabulary.rows(list(IDS)) + 1
    workspace.save(SoftPrompt("source", rows, init_token_ids=IDS))
    run = _run(workspace, {10: rows, 20: rows + 1, 30: rows + 2}, init="prompt:source@1")
    workspace.save(SoftPrompt("mood", rows + 2, config={"run": run.id}))
    found = drift(run.id, workspace=workspace)
    assert found.steps == (0, 20, 30)
    np.testing.assert_allclose(found.distance[:, 0], [0, np.sqrt(320), 2 * np.sqrt(320)], rtol=1e-5)


def test_without_a_known_start_distances_count_from_the_first_checkpoint_kept(workspace):
    rows = np.ones((3, 320), np.float32)
    _run(workspace, {10: rows, 20: rows * 2})
    found = drift("mood", workspace=workspace)
    assert found.steps == (10, 20)
    np.testing.assert_allclose(found.distance, [[0] * 3, [np.sqrt(320)] * 3])


def test_rows_kept_on_the_way_are_followed_before_any_checkpoint(workspace, vocabulary, caplog):
    start = vocabulary.rows(list(IDS))
    run = _run(workspace, {30: start * 9}, method="p_tuning")
    keep_trajectory(run, {0: start, 5: vocabulary.rows([7, 200, 300]), 10: start + 1})
    (run.trajectory / "prompt-0-step-00000010.safetensors").write_bytes(b"half")
    found = drift(run.id, workspace=workspace)
    assert (found.steps, found.changes) == ((0, 5), (0, 1))
    assert found.nearest[1].tolist() == [7, 200, 300]
    assert "left out prompt-0-step-00000010.safetensors, which is damaged" in caplog.text
    way = trajectory(run.id, workspace=workspace)
    assert [one.metrics["step"] for one in way] == [0, 5]
    np.testing.assert_array_equal(way[0].embeddings, start)


def test_a_run_that_kept_no_rows_on_its_way_says_which_do(workspace):
    run = _run(workspace, {10: np.ones((2, 320), np.float32)})
    with pytest.raises(TrainingError, match="kept no rows of this prompt on its way: expected"):
        trajectory(run.id, workspace=workspace)


def test_runs_that_leave_no_rows_are_refused(workspace):
    with pytest.raises(WorkspaceError):
        drift("mood", workspace=workspace)
    run = _run(workspace, {})
    with pytest.raises(TrainingError, match="has no checkpoint yet"):
        drift(run.id, workspace=workspace)
    other = _run(workspace, {10: np.ones((2, 320), np.float32)}, method="p_tuning")
    with pytest.raises(TrainingError, match="trains by p_tuning: its checkpoints hold no rows"):
        drift(other.id, workspace=workspace)
    with pytest.raises(TrainingError, match="asked for was another"):
        drift(other.id, 3, workspace=workspace)


def test_a_fold_is_followed_as_the_one_it_is_whatever_its_version(workspace):
    rows = np.ones((3, 64), np.float32)
    kept = [
        workspace.save(SoftPrompt(name, rows, config={"folds": folds})).id
        for name, folds in (
            ("mood-fold1", 3),
            ("mood-fold3", 3),
            ("mood-fold3", 3),
            ("fold2", None),
        )
    ]
    assert [number_in_run(workspace.prompts.load(one)) for one in kept] == [0, 2, 2, 0]
