"""Drift of a run: what its checkpoints and its finished prompt still tell."""

import numpy as np
import pytest
import torch

from probe.errors import TrainingError, WorkspaceError
from probe.prompt import SoftPrompt
from probe.store import JobConfig, Workspace
from probe.store.job_status import Status
from probe.tables import load_vocabulary
from probe.training.checkpoint import Checkpoint, write_checkpoint
from probe.verbs import drift
from probe.verbs.drifting import number_in_run

IDS = (100, 200, 300)


@pytest.fixture(scope="module")
def vocabulary():
    return load_vocabulary("builtin")


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


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


def test_runs_that_leave_no_rows_are_refused(workspace):
    with pytest.raises(WorkspaceError):
        drift("mood", workspace=workspace)
    run = _run(workspace, {})
    with pytest.raises(TrainingError, match="has no checkpoint yet"):
        drift(run.id, workspace=workspace)
    other = _run(workspace, {10: np.ones((2, 320), np.float32)}, method="p_tuning")
    with pytest.raises(TrainingError, match="trains by p_tuning: its checkpoints hold no rows"):
        drift(other.id, workspace=workspace)
    with pytest.raises(TrainingError, match="there is no number 3"):
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
