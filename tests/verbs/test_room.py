"""What a run is refused for before it exists is what its worker would refuse it for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from probe import verbs
from probe.errors import ModelNotFoundError, ProbeError
from probe.models import load_model
from probe.store import Workspace
from probe.tables import model_facts
from probe.task import Example, Task
from probe.training import TrainConfig, train
from probe.verbs.room import check_room
from tests import tiny
from tests.trainable import LIGHT, write_task

MODELS = {"causal": tiny.save_causal, "gpt2": tiny.save_gpt2, "masked": tiny.save_masked}
POSITIONS = 64


def filler(words: int) -> str:
    return " ".join(["so"] * words)


TASK = Task(
    "t",
    "classification",
    "{text} it was",
    ("yes", "no"),
    train=[Example("the film", 0), Example("the day", 1)],
)
WRITING = Task("w", "generation", "{text} it was", train=[Example("the film", target="so")])
LONG = {
    "template": [replace(TASK, template=f"{filler(n)} {{text}} it was") for n in (3, 40, 55, 90)],
    "label": [replace(TASK, label_words=("yes", filler(n))) for n in (2, 40, 55, 90)],
    "target": [
        replace(WRITING, train=[Example("the film", target=filler(n))]) for n in (2, 40, 55, 90)
    ],
    "nothing before": [
        replace(TASK, template=one) for one in ("{label} {text}", "so {label}{text}")
    ],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: save(tmp_path_factory.mktemp(name)) for name, save in MODELS.items()}


def refusal(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except ProbeError as error:
        return str(error)
    return None


@pytest.mark.parametrize("what", LONG)
@pytest.mark.parametrize("name", MODELS)
def test_it_is_refused_before_the_run_where_the_model_refuses_it(folders, name, what):
    folder = str(folders[name])
    model, facts = load_model(folder, device="cpu"), model_facts(folder)
    for task in LONG[what]:
        if task.kind == "generation" and not facts.writes:
            continue
        config = TrainConfig(length=4, steps=1, eval_every=0)
        early = refusal(check_room, task, config, facts)
        late = refusal(train, model, task, config)
        assert (early is None) == (late is None), (early, late)
        assert early is None or early.replace("target", "label")[:40] == late[:40]


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"init": f"text:{filler(70)}"}, "expected a prompt of fewer than 64 virtual tokens"),
        ({"target": filler(70)}, "expected a prompt of fewer than 64 virtual tokens"),
        ({"teacher": filler(70), "objective": "distill"}, "fewer than 64 virtual tokens"),
        ({"target": "so so", "length": 3}, "found length 3, target 2"),
    ],
)
def test_texts_of_the_configuration_are_counted(folders, asked, line):
    facts = model_facts(str(folders["causal"]))
    with pytest.raises(ProbeError, match=line):
        check_room(TASK, TrainConfig(**asked), facts)


def test_targets_that_only_score_the_finished_prompt_are_counted_too(folders):
    facts = model_facts(str(folders["causal"]))
    task = replace(WRITING, test=[Example("the film", target=filler(90))])
    check_room(task, TrainConfig(length=4), facts)
    with pytest.raises(ProbeError, match="its longest target need 3. positions more"):
        check_room(task, TrainConfig(length=4), facts, test_examples=5)


def test_the_vocabulary_is_not_read_where_nothing_can_be_wrong(folders, monkeypatch):
    facts = model_facts(str(folders["causal"]))
    monkeypatch.setattr("probe.verbs.room.load_vocabulary", pytest.fail)
    check_room(TASK, TrainConfig(length=4), replace(facts, positions=4096))


@pytest.mark.parametrize(
    ("save", "files", "field", "value", "told"),
    [
        (tiny.save_masked, ("tokenizer_config.json",), "mask_token", None, "no mask token"),
        (
            tiny.save_encoder_decoder,
            ("config.json", "generation_config.json"),
            "decoder_start_token_id",
            None,
            "add decoder_start_token_id",
        ),
        (tiny.save_causal, ("config.json",), "hidden_size_per_layer_input", 8, "in every layer"),
        (tiny.save_causal, ("config.json",), "model_type", "xlnet", "sees what follows"),
    ],
)
def test_a_model_whose_files_tell_that_it_reads_no_prompt_gets_no_run(
    tmp_path, save, files, field, value, told
):
    folder = save(tmp_path / "model")
    task = write_task(tmp_path / "task")
    asked = {"device": "cpu", "workspace": Workspace(tmp_path / "home")}
    verbs.run_config(folder, task, LIGHT, **asked)
    for name in files:
        document = json.loads((folder / name).read_text()) | {field: value}
        (folder / name).write_text(json.dumps(document))
    with pytest.raises(ModelNotFoundError, match=told):
        verbs.run_config(folder, task, LIGHT, **asked)
