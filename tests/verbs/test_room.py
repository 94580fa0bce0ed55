"""What a run is refused for before it exists is what its worker would refuse it for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probe.errors import ProbeError
from probe.models import load_model
from probe.tables import model_facts
from probe.task import Example, Task
from probe.training import TrainConfig, train
from probe.verbs.room import check_room
from tests import tiny

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
