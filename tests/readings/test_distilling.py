"""A text of one's own in a prompt: trained, measured, kept and read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from probe.errors import ProbeError, TrainingError
from probe.store import Workspace
from probe.verbs.distilling import distill
from tests.tiny import save_causal, save_masked

CONTEXTS = ["the film was", "very cold soup", "so quite", "a day", "it was w3", "song and day"]
FRAME = "{prompt} {text} it was"
SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "distill.json"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_causal(tmp_path_factory.mktemp("tiny")))


def test_a_text_becomes_a_prompt_that_is_measured_kept_and_read(model, tmp_path):
    home, losses = Workspace(tmp_path), []
    found = distill(
        "kind warm calm sweet", model, length=2, steps=40, contexts=CONTEXTS, frame=FRAME,
        on_step=lambda step: losses.append(step.loss_nats), workspace=home,
    )  # fmt: skip
    assert found.prompt == "kind-warm-calm-sweet@1"
    kept = home.get(found.prompt)
    assert len(kept) == 2 and kept.config["training"]["teacher"] == "kind warm calm sweet"
    assert kept.metrics["share_explained"] == found.explained.share
    assert len(losses) == 40 and losses[-1] < losses[0] / 2
    assert found.truncated_text == "kind warm" and found.trained_contexts == 4
    assert found.explained.contexts == 2
    assert found.reading.readings[1].start == "recorded"
    document = json.loads(json.dumps(found.to_json()))
    Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(document)


def test_a_text_as_short_as_the_prompt_has_all_of_its_own_effect(model, tmp_path):
    found = distill(
        "kind warm", model, length=2, steps=1, contexts=CONTEXTS, frame=FRAME, name="own",
        workspace=Workspace(tmp_path),
    )  # fmt: skip
    assert found.prompt == "own@1"
    assert found.truncated.share == pytest.approx(1, abs=1e-3)


def test_what_cannot_be_distilled_is_refused_before_anything_is_kept(model, tmp_path):
    home = Workspace(tmp_path / "home")
    with pytest.raises(TrainingError, match="a text to distil, found an empty one"):
        distill("  ", model, workspace=home)
    with pytest.raises(TrainingError, match="has no chat template: use the frame plain"):
        distill("kind", model, contexts=CONTEXTS, frame="chat", workspace=home)
    with pytest.raises(TrainingError, match="found 1"):
        distill("kind", model, contexts=["one"], frame=FRAME, workspace=home)
    encoder = str(save_masked(tmp_path / "bert"))
    with pytest.raises(ProbeError, match="is an encoder, which writes no text"):
        distill("kind", encoder, contexts=CONTEXTS, frame=FRAME, workspace=home)
    assert list(home.list()) == []
