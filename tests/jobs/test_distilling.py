"""A distillation as a job: it stands among the runs, goes on where it was, and keeps its prompt."""

from __future__ import annotations

import numpy as np
import pytest

from probe import jobs
from probe.errors import TrainingError
from probe.jobs import control, worker
from probe.jobs.headlines import job_headline
from probe.store import Workspace, queued, read_records
from probe.verbs.distilling import distill, distill_command, distill_config
from tests.tiny import save_causal

TEXT = "kind warm calm sweet"
FRAME = "{prompt} {text} it was"
CONTEXTS = ["the film was", "very cold soup", "so quite", "a day", "it was w3", "song and day"]

pytestmark = pytest.mark.usefixtures("own_handlers")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_causal(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def contexts(tmp_path):
    path = tmp_path / "contexts.txt"
    path.write_text("\n".join(CONTEXTS))
    return path


def _asked(model, home, contexts, **others):
    fields = {"length": 2, "steps": 4, "frame": FRAME, "device": "cpu"} | others
    return distill_config(TEXT, model, contexts=contexts, workspace=home, **fields)


def test_a_distillation_is_a_run_whose_prompt_is_the_one_the_function_makes(
    model, tmp_path, contexts
):
    home = Workspace(tmp_path / "home")
    run = home.jobs.create(_asked(model, home, contexts), queued())
    assert worker.main([str(run.path)]) == 0
    found = jobs.view(home, run)
    assert (found.kind, found.state, found.step, found.task) == (
        "distill",
        "finished",
        4,
        "distilled",
    )
    assert found.is_training and found.runs is None
    assert job_headline(found) == "Finished after 4 steps: made kind-warm-calm-sweet@1."
    assert [one["step"] for one in read_records(run.metrics)[0]] == [1, 2, 3, 4]
    kept = home.get(found.prompts[0])
    assert kept.config["run"] == run.id and kept.config["training"]["teacher"] == TEXT
    assert found.metrics["metric"] == "share_explained"
    own = distill(
        TEXT, model, length=2, steps=4, frame=FRAME, device="cpu", contexts=contexts,
        workspace=Workspace(tmp_path / "other"),
    )  # fmt: skip
    assert kept.metrics["share_explained"] == own.explained.share
    assert kept.metrics["truncated_share_explained"] == own.truncated.share


def test_a_distillation_that_goes_on_ends_as_one_that_was_never_stopped(model, tmp_path, contexts):
    home = Workspace(tmp_path / "home")
    short, whole = (
        home.jobs.create(_asked(model, home, contexts, steps=steps, name=f"of{steps}"), queued())
        for steps in (2, 5)
    )
    for run in (short, whole):
        assert worker.main([str(run.path)]) == 0
    control._lengthen(short, short.status, 5)
    short.write(queued(short.status))
    assert worker.main([str(short.path)]) == 0
    assert [one["step"] for one in read_records(short.metrics)[0]] == [1, 2, 3, 4, 5]
    rows = [home.get(jobs.view(home, run).prompts[0]).embeddings for run in (short, whole)]
    assert np.array_equal(*rows)


def test_the_command_of_a_distillation_asks_for_the_same(model, tmp_path, contexts):
    config = _asked(model, Workspace(tmp_path / "home"), contexts)
    words = distill_command(config)
    assert words[:3] == ("probe", "distill", TEXT)
    assert words[words.index("--steps") + 1] == "4"
    assert words[words.index("--contexts") + 1] == str(contexts)


def test_what_cannot_be_distilled_is_refused_before_there_is_a_run(model, tmp_path):
    home = Workspace(tmp_path / "home")
    slots = ("{text}", "{name}", "{label}", "{prompt:2}")
    texts = [(f"say {slot}", f"without {slot}") for slot in slots]
    for text, why in ((" ", "found an empty one"), *texts):
        with pytest.raises(TrainingError, match=why):
            distill_config(text, model, workspace=home)
    assert not list(home.jobs)
