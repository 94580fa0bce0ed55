"""What sweeps and waywardness studies are asked for, and what is refused; nothing is trained."""

import numpy as np
import pytest

from probe import verbs
from probe.errors import TrainingError
from probe.prompt import SoftPrompt
from probe.store import Workspace
from probe.studies.grid import Grid, grid_points
from probe.studies.wayward import points, study_of
from tests.trainable import write_task


def _wayward(model, tasks, targets=("text:soup it",), **more):
    asked = {"gamma": [1.0], "init": ["vocab"], "seeds": 1, "device": "cpu"} | more
    return verbs.wayward_config([model], tasks, targets, **asked)


def _points(config):
    return points(study_of(config.request)[0])


def _sweep(model, task, grid, **more):
    asked = verbs.sweep_config(grid, model=[model], task=[task], device="cpu", **more)
    return [point.spec.config for point in _grid_points(asked)]


def _grid_points(config):
    own = {key: config.request[key] for key in config.request.keys() - {"shared", "question"}}
    return grid_points(Grid(**own))


def test_two_tasks_of_one_name_are_one_clear_line_and_one_task_twice_is_not(model, task, tmp_path):
    other = str(write_task(tmp_path / "moods"))
    with pytest.raises(TrainingError, match=r"tasks .* are both named moods: choose one") as found:
        _points(_wayward(model, [task, other]))
    assert task in str(found.value) and other in str(found.value)
    assert len(_points(_wayward(model, [task, task]))) == 4
    with pytest.raises(TrainingError, match="both named moods"):
        verbs.sweep_config({"tasks": [task, other]}, model=[model], device="cpu")


@pytest.mark.parametrize("gammas", [[], [0], (0.0, -0.0)])
def test_a_waywardness_study_of_baselines_alone_is_one_clear_line(gammas, model, task):
    with pytest.raises(TrainingError, match="needs a γ above 0 beside the baseline"):
        _wayward(model, [task], gamma=gammas)


def test_the_number_of_targets_is_for_sets_and_ones_own_texts_are_all_taken(model, task, tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("the film was\nsoup it\nthe day was sweet\n")
    own = ["text:soup it", "text:the day", "text:sour", "text:the film was sour"]
    found = _points(_wayward(model, [task], [file, *own], target_count=2))
    kinds = [kind for kind, _ in {(one.target.kind, one.target.text) for one in found}]
    assert (kinds.count("mine"), kinds.count("text")) == (2, 4)


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path / "home")
    workspace.save(SoftPrompt("start", np.ones((2, 16), np.float32), trained=True))
    return workspace


def test_studies_start_from_prompts_of_the_workspace_by_name(model, task, workspace):
    path = f"prompt:{workspace.prompts.root / 'start@1'}"
    fixed = _sweep(
        model, task, {"training": {"length": 2, "init": "prompt:start"}}, workspace=workspace
    )
    assert [config.init for config in fixed] == [path]
    varied = _sweep(
        model, task, {"grid": {"init": ("vocab", "prompt:start@1")}, "training": {"length": 2}},
        workspace=workspace,
    )  # fmt: skip
    assert [config.init for config in varied] == ["vocab", path]
    config = _wayward(model, [task], init=["target", "prompt:start"], workspace=workspace)
    assert study_of(config.request)[0].inits == ("target", path)


def test_what_is_asked_for_takes_the_place_of_the_grids_wherever_that_stands(model, task):
    grid = {"training": {"length": 3, "seed": 5}, "grid": {"steps": [1, 2]}}
    found = _sweep(model, task, grid, length=[2], steps=4, seeds=3)
    assert [(one.length, one.steps, one.seed) for one in found] == [(2, 4, 0), (2, 4, 1), (2, 4, 2)]
    assert [one.seed for one in _sweep(model, task, {"grid": {"seed": [7]}}, seeds=1)] == [0]
    kept = _sweep(model, task, grid)
    assert [(one.length, one.steps, one.seed) for one in kept] == [(3, 1, 5), (3, 2, 5)]


def test_patience_in_a_study_that_validates_at_the_end_only_is_refused(model, task):
    with pytest.raises(TrainingError, match="set eval_every above 0, or leave patience out"):
        _sweep(model, task, {"training": {"patience": 2}})
    assert _sweep(model, task, {"training": {"patience": 2, "eval_every": 5}})[0].patience == 2


def test_tuples_are_as_good_as_lists(model, task):
    grid = {"models": (model,), "tasks": (task,), "grid": {"length": (2, 3)}}
    found = _grid_points(verbs.sweep_config(grid, device="cpu"))
    assert [point.spec.config.length for point in found] == [2, 3]
