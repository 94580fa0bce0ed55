"""`probe prune` keeps the rows it says, loses the one that hurts, and retrains from the start."""

import dataclasses

import numpy as np
import pytest
import torch

from probe.analysis.pruning import kept_rows, row_counts
from probe.errors import DataError, NotDecodableError, ProbeError
from probe.evaluation import Condition, answer
from probe.models import load_model
from probe.prompt import KVPrefix, SoftPrompt
from probe.requests import PruneRequest, RequestError
from probe.store import Workspace
from probe.template import keep_slots
from probe.training import TrainConfig, train
from probe.training.initialise import embedded, start_of
from probe.training.pruning import beginning_of, retraining_of
from probe.verbs.ablating import ablate
from probe.verbs.evaluating import evaluate
from probe.verbs.pruning import prune
from tests import tiny

TRAINING = {"length": 4, "steps": 60, "batch_size": 16, "eval_every": 20, "learning_rate": 0.1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(str(tiny.save_causal(tmp_path_factory.mktemp("prune") / "model")))


@pytest.fixture(scope="module")
def task():
    made = tiny.task(128, validation=32)
    return dataclasses.replace(made, train=made.train[:96], test=made.train[96:])


@pytest.fixture(scope="module")
def trained(model, task):
    """A prompt of four rows that has learnt the task."""
    training = train(model, task, TrainConfig(**TRAINING))
    for _ in training:
        pass
    return training.prompts[0]


@pytest.fixture(scope="module")
def planted(model, task, trained):
    """The same with a row in the middle, the one of many that spoils it most."""
    rng = np.random.default_rng(0)
    ids = (*trained.init_token_ids[:2], 9, *trained.init_token_ids[2:])
    tried = [
        dataclasses.replace(
            trained,
            name="planted",
            embeddings=np.insert(trained.embeddings, 2, 4 * rng.normal(size=16), axis=0),
            init_token_ids=ids,
        )
        for _ in range(32)
    ]
    conditions = [Condition("p", task, prompt) for prompt in tried]
    losses = [one.losses_nats.mean() for one in answer(model, conditions, task.train)]
    return tried[int(np.argmax(losses))]


@pytest.mark.slow
def test_a_planted_row_is_the_one_that_is_pruned_and_the_prompt_scores_better(
    planted, trained, task, tmp_path
):
    home = Workspace(tmp_path)
    steps = []
    found = prune(planted, task, keep=[4, 2], steps=20, on_step=steps.append, workspace=home)
    four, two = found.kept
    assert four.rows == (0, 1, 3, 4) and len(two.rows) == 2
    removed = ablate(planted, task, split="train").ablation.by_example["removed"].mean(0)
    assert [one.value for one in found.importance_nats] == pytest.approx(removed, abs=1e-5)
    assert two.rows == kept_rows(removed, 2)
    # What is pruned and not retrained is the prompt before the row was planted.
    (before,) = evaluate([trained], task, split="validation").comparison.evaluations
    assert four.pruned.loss_nats.value == pytest.approx(
        before.measures["loss_nats"].value, abs=1e-5
    )
    assert four.pruned.loss_change_nats.ends[1] < 0
    assert {step.prompt for step in steps} == {0, 1} and len(steps) == 40
    better = prune(planted, task, keep=[4], steps=20, workspace=home, name="better").test
    assert better.loss_change_nats.ends[1] < 0 and found.test_examples == 32
    kept = home.get(found.saved)
    assert found.saved == "planted-pruned@1" and len(kept) == len(found.chosen_rows)
    assert kept.config["pruned"]["rows"] == list(found.chosen_rows)
    assert kept.metrics["test_loss_nats"] == pytest.approx(found.test.loss_nats.value)
    (again,) = evaluate([kept], task, split="test").comparison.evaluations
    assert again.measures["loss_nats"].value == pytest.approx(found.test.loss_nats.value, abs=1e-5)
    best = max(score.rank for one in found.kept for score in (one.pruned, one.retrained))
    assert getattr(found.kept_best, found.chosen).rank == best


def test_rows_begin_again_where_they_began(model, task, trained):
    begun = beginning_of(model, task, trained)
    start = begun.start((1, 3))
    assert begun.rewound == "tokens" and start.token_ids == trained.init_token_ids[1::2]
    assert torch.equal(start.rows, embedded(model, trained.init_token_ids)[1::2])
    config = TrainConfig(**TRAINING, init="random")
    noise = start_of(model, task, config).rows
    told = {"training": config.to_dict()}
    random = dataclasses.replace(trained, init_token_ids=None, config=told)
    begun = beginning_of(model, task, random)
    assert begun.rewound == "training" and torch.equal(begun.start((0, 2)).rows, noise[::2])
    # Rows of a pruned prompt are not those that its training would draw anew.
    pruned = dataclasses.replace(random, config={**told, "pruned": {}})
    for unknown in (pruned, dataclasses.replace(random, config={"training": {"sted": 1}})):
        begun = beginning_of(model, task, unknown)
        assert begun.rewound == "present"
        assert torch.equal(begun.rows, torch.tensor(trained.embeddings))


def test_rows_are_retrained_as_the_prompt_was():
    own = TrainConfig(objective="paper", batch_size=4, learning_rate=0.2, gamma=0.5, target="warm")
    prompt = SoftPrompt("p", np.ones((2, 4)), config={"training": own.to_dict()})
    found = retraining_of("tiny", prompt, 7, None)
    assert (found.objective, found.batch_size, found.learning_rate) == ("paper", 4, 0.2)
    assert (found.steps, found.gamma, found.target) == (7, 0.0, None)
    encoded = TrainConfig(method="p_tuning", learning_rate=0.001)
    made = SoftPrompt("p", np.ones((2, 4)), config={"training": encoded.to_dict()})
    found = retraining_of("smollm2", made, None, None)
    assert (found.method, found.learning_rate) == ("prompt_tuning", 0.03)


@pytest.mark.slow
def test_gradients_rank_rows_and_slots_shrink_with_them(trained, task, tmp_path):
    own = {"template": "{prompt:3}{text}{prompt:1} it was", "label_words": list(task.label_words)}
    placed = dataclasses.replace(trained, name="p", config=own, task="moods")
    home, few = Workspace(tmp_path), {"steps": 2, "limit": 16, "test_examples": 0}
    found = prune(placed, task, ratio=[0.5], by="gradient_input", workspace=home, **few)
    assert all(one.value > 0 for one in found.importance_nats) and found.test is None
    kept = home.get(found.saved)
    assert kept.config["template"] == keep_slots(own["template"], found.chosen_rows)
    removed = prune(placed, task, keep=[3], workspace=home, lr=0.01, **few)
    assert len(removed.kept[0].rows) == 3 and removed.learning_rate == 0.01
    assert "validation accuracy" in removed.headline()[0]


def test_slots_keep_places_for_the_rows_that_stay():
    template = "{prompt:3}{text} It was{prompt:2}"
    assert keep_slots(template, (0, 2, 4)) == "{prompt:2}{text} It was{prompt:1}"
    assert keep_slots(template, (3,)) == "{text} It was{prompt:1}"
    assert keep_slots("{text} It was", (3,)) == "{text} It was"


def test_numbers_of_rows_are_within_the_prompt():
    assert row_counts(10, (), (0.25, 0.5, 0.01, 0.99)) == [9, 8, 5, 1]
    assert row_counts(10, (4, 8, 4), ()) == [8, 4]
    assert kept_rows([1.0, -2.0, 1.0, 3.0], 2) == (0, 3)
    with pytest.raises(ProbeError, match="from 1 to 9 of 10, found 10"):
        row_counts(10, (10,), ())
    with pytest.raises(ProbeError, match="two rows or more to prune, found one row"):
        row_counts(1, (), (0.5,))


@pytest.mark.parametrize("ratio", [0, 1, -0.5, 2, float("nan")])
def test_ratios_are_shares(ratio):
    with pytest.raises(RequestError, match="above 0 and below 1"):
        PruneRequest("p", "mood", ratio=[ratio])


def test_what_contradicts_itself_or_cannot_be_pruned_is_refused(trained, task):
    with pytest.raises(RequestError, match="not both"):
        PruneRequest("p", "mood", ratio=[0.5], keep=[2])
    prefix = KVPrefix("prefix", *np.ones((2, 2, 2, 3, 4)), base_model=trained.base_model)
    with pytest.raises(NotDecodableError, match="prefix of keys and values: pruning needs"):
        prune(prefix, task)
    with pytest.raises(DataError, match="nosuch"):
        prune(trained, "nosuch")
    blind = dataclasses.replace(task, validation=())
    with pytest.raises(DataError, match="has no validation examples: pruning"):
        prune(trained, blind)
