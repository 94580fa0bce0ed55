"""The loop keeps its promises: it records, validates, stops, warns, and survives NaN."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from probe.datasets import sample
from probe.errors import TrainingError
from probe.evaluation import Condition, answer
from probe.metrics import macro_f1
from probe.models import FrozenModel, load_model
from probe.prompt import SoftPrompt
from probe.task import Example, Task
from probe.training import TrainConfig, folds, learning_rate, train
from probe.training.checkpoint import read_checkpoint
from probe.training.initialise import embedded
from probe.training.validation import Validation
from tests import tiny


def test_a_step_is_adamw_on_the_mean_loss_with_the_gradient_clipped(
    causal: FrozenModel, task: Task
) -> None:
    """Written out with torch alone: embeddings in front of each text, one row at a time."""
    config = TrainConfig(
        length=3,
        steps=4,
        batch_size=8,
        clip_norm=0.5,
        weight_decay=0.1,
        warmup_steps=2,
        learning_rate=0.05,
    )
    training = train(causal, task, config)
    start = training.runs[0].start.rows
    assert start is not None
    rows = start.clone().requires_grad_()
    optimiser = torch.optim.AdamW([rows], weight_decay=0.1)
    batches = training.runs[0].batches
    order = [batches.next() for _ in range(4)]
    batches.restore({"epoch": 0, "taken": 0})
    for number, step in enumerate(training):
        losses = [_loss(causal, rows, task.train[i], task) for i in order[number]]
        loss = torch.stack(losses).mean()
        assert step.loss_nats == pytest.approx(loss.item(), rel=1e-5)
        optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([rows], 0.5)
        assert step.gradient_norm == pytest.approx(norm.item(), rel=1e-4)
        optimiser.param_groups[0]["lr"] = step.lr
        assert step.lr == learning_rate(config, 0.05, number)
        optimiser.step()
    (prompt,) = training.prompts
    assert isinstance(prompt, SoftPrompt)
    np.testing.assert_allclose(prompt.embeddings, rows.detach().numpy(), atol=1e-5)


def _loss(model: FrozenModel, prompt: torch.Tensor, example: Example, task: Task) -> torch.Tensor:
    ids = model.tokenizer(task.fill(example.text))["input_ids"]
    (label,) = model.tokenizer(task.label_words[example.label or 0])["input_ids"]
    inputs = torch.cat([prompt, embedded(model, ids)])[None]
    logits = model.model(inputs_embeds=inputs).logits[0, -1]
    return cross_entropy(logits, torch.tensor(label))


@pytest.mark.slow
def test_a_run_validates_on_its_way_and_lowers_the_loss(causal: FrozenModel) -> None:
    task = tiny.task(256, validation=64)
    config = TrainConfig(length=8, steps=150, eval_every=50, learning_rate=0.1)
    training = train(causal, task, config)
    steps = list(training)
    assert [step.step for step in steps if step.validation] == [50, 100, 150]
    assert steps[-1].stopped == "finished"
    assert all(step.stopped is None for step in steps[:-1])
    assert steps[-1].loss_nats < 2.4 < 3 < steps[0].loss_nats
    losses = [step.validation.loss_nats for step in steps if step.validation]
    assert losses == sorted(losses, reverse=True)
    metrics = training.prompts[0].metrics
    assert metrics["validation_examples"] == 64
    assert metrics["validation_loss_nats"] in losses


def test_the_exported_prompt_is_that_of_the_best_validation(
    causal: FrozenModel, task: Task
) -> None:
    config = TrainConfig(
        length=3, steps=12, eval_every=1, learning_rate=0.3, schedule="constant", seed=2
    )
    training = train(causal, task, config)
    seen = []
    for step in training:
        assert step.validation is not None
        rows = training.runs[0].module.rows.detach().numpy().copy()
        seen.append((step.validation.rank, -step.step, rows))
    best = max(seen, key=lambda entry: entry[:2])
    (prompt,) = training.prompts
    assert isinstance(prompt, SoftPrompt)
    assert (prompt.embeddings == best[2]).all()
    assert prompt.metrics["step"] == -best[1]
    assert prompt.metrics["step"] < 12, "the last prompt was the best: the test shows nothing"


@pytest.mark.slow
def test_a_run_that_gets_no_better_stops_early(causal: FrozenModel, task: Task) -> None:
    config = TrainConfig(length=3, steps=500, eval_every=2, patience=3, learning_rate=3.0)
    steps = list(train(causal, task, config))
    assert steps[-1].stopped == "early: no better for 3 validations"
    assert len(steps) < 200


def test_a_metric_that_has_not_moved_is_spoken_of_once(causal: FrozenModel, task: Task) -> None:
    config = TrainConfig(length=3, steps=10, eval_every=1, learning_rate=1e-9)
    warnings = [step.warning for step in train(causal, task, config)]
    assert [bool(warning) for warning in warnings] == [False] * 2 + [True] + [False] * 7
    assert "accuracy has stayed at 0." in str(warnings[2])
    assert "try a higher learning rate" in str(warnings[2])


def test_a_perfect_score_that_stays_needs_no_advice(causal: FrozenModel, task: Task) -> None:
    run = train(causal, task, TrainConfig(length=3, steps=2)).runs[0]
    for value, advised in ((1.0, False), (0.9, True)):
        run.validations = [(step, Validation("accuracy", value, 0.1, 10)) for step in range(1, 4)]
        assert bool(run.warning()) == advised


def test_a_loss_that_is_not_finite_stops_the_run_at_its_last_checkpoint(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    config = TrainConfig(length=3, steps=50, checkpoint_every=3, eval_every=0)
    training = train(causal, task, config, run_folder=tmp_path)
    steps = []
    for step in training:
        steps.append(step)
        if step.step == 4:
            training.runs[0].module.rows.data.fill_(math.inf)
    assert steps[-1].stopped is not None
    assert steps[-1].stopped.startswith("diverged: the loss was nan at step 5, the prompt is that")
    assert steps[-1].stopped.endswith("of step 3")
    assert len(steps) == 5
    json.dumps(steps[-1].to_json(), allow_nan=False)
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint is not None
    assert all(tensor.isfinite().all() for tensor in checkpoint.prompts[0][0].values())
    resumed = train(causal, task, config, run_folder=tmp_path, resume=True)
    assert list(resumed) == []
    assert resumed.prompts[0].metrics == {"step": 3}


def test_a_run_that_diverged_names_the_step_of_the_prompt_it_leaves(
    causal: FrozenModel, task: Task
) -> None:
    training = train(causal, task, TrainConfig(length=3, steps=9, checkpoint_every=3, eval_every=2))
    for step in training:
        if step.step == 4:
            training.runs[0].module.rows.data.fill_(math.inf)
    kept = training.prompts[0].metrics["step"]
    assert kept in (2, 4) and str(training.runs[0].stopped).endswith(f"of step {kept}")


def test_a_prompt_whose_validation_broke_is_never_the_best(causal: FrozenModel, task: Task) -> None:
    config = TrainConfig(length=3, steps=6, checkpoint_every=2, eval_every=2)
    training = train(causal, task, config)
    run = training.runs[0]
    for step in training:
        if step.step == 1:
            run.module.rows.data.fill_(math.inf)
            broken = run.validate(causal)
            run.module.load_state_dict(run.good)
            assert json.dumps(
                dataclasses.replace(step, validation=broken).to_json(), allow_nan=False
            )
            assert not math.isfinite(broken.loss_nats)
            assert run.best is None
    assert training.prompts[0].metrics["step"] in (2, 4, 6)


def test_a_prompt_with_a_target_is_kept_as_it_ended(causal: FrozenModel, task: Task) -> None:
    config = TrainConfig(
        length=3, steps=40, eval_every=5, target="the film was", gamma=1.0, init="vocab"
    )
    training = train(causal, task, config)
    last = list(training)[-1]
    prompt, run = training.prompts[0], training.runs[0]
    assert run.best_validation < len(run.validations) - 1  # the task alone would keep another
    assert prompt.metrics["step"] == 40
    assert prompt.metrics["validation_loss_nats"] == last.validation.loss_nats
    distance = float(run.distance(torch.tensor(prompt.embeddings)))
    assert distance < last.distance


def test_a_prompt_that_diverges_leaves_the_others_alone(causal: FrozenModel, task: Task) -> None:
    calm = TrainConfig(length=3, steps=6, eval_every=0)
    wild = TrainConfig(length=3, steps=6, eval_every=0, seed=1)
    training = train(causal, task, [wild, calm])
    training.runs[0].module.rows.data.fill_(math.inf)
    steps = list(training)
    assert [step.prompt for step in steps] == [0, 1, 1, 1, 1, 1, 1]
    assert not math.isfinite(steps[0].loss_nats)
    alone = train(causal, task, calm)
    for one, other in zip([step for step in steps if step.prompt], alone, strict=True):
        assert one.loss_nats == pytest.approx(other.loss_nats, abs=1e-5)


def test_dropout_is_drawn_by_the_seed_and_keeps_the_mean(causal: FrozenModel, task: Task) -> None:
    config = TrainConfig(length=3, steps=5, eval_every=0, dropout=0.5)
    same = [[step.loss_nats for step in train(causal, task, config)] for _ in range(2)]
    plain = [s.loss_nats for s in train(causal, task, TrainConfig(length=3, steps=5, eval_every=0))]
    assert same[0] == same[1] != plain
    run = train(causal, task, config).runs[0]
    dropped = run.drop(torch.ones(100, 100))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert float(dropped.mean()) == pytest.approx(1, abs=0.05)


def test_the_same_seed_gives_the_same_prompt_and_another_seed_another(
    causal: FrozenModel, task: Task
) -> None:
    def rows(seed: int) -> np.ndarray:
        training = train(causal, task, TrainConfig(length=3, steps=5, eval_every=0, seed=seed))
        list(training)
        return training.prompts[0].embeddings

    state = torch.get_rng_state()
    assert (rows(0) == rows(0)).all()
    assert (rows(0) != rows(1)).any()
    assert torch.equal(torch.get_rng_state(), state)


def test_a_task_without_validation_sets_the_same_examples_aside_for_every_seed(
    causal: FrozenModel,
) -> None:
    task = tiny.task(100, validation=0)
    one, other = (train(causal, task, TrainConfig(length=2, seed=seed)).runs[0] for seed in (0, 1))
    assert 8 <= len(one.data.validation) <= 10
    assert 85 <= len(one.data.train) <= 100 - len(one.data.validation)
    assert not {row.prefix_ids for row in one.data.train} & {
        row.prefix_ids for row in one.data.validation
    }
    assert one.data.fingerprint == other.data.fingerprint
    never = train(causal, task, TrainConfig(length=2, eval_every=0)).runs[0]
    assert (len(never.data.train), len(never.data.validation)) == (100, 0)
    few = train(causal, task, TrainConfig(length=2, eval_examples=4)).runs[0]
    assert len(few.data.validation) == 4
    given = tiny.task(40, validation=40)
    sampled = train(causal, given, TrainConfig(length=2, eval_examples=20, seed=3)).runs[0].data
    assert len(sampled.validation) == 20
    whole = train(causal, given, TrainConfig(length=2)).runs[0].data.validation
    assert list(sampled.validation) == list(sample(whole, 20)) != list(whole[:20])


def test_folds_validate_on_every_example_once() -> None:
    task = tiny.task(50, validation=0)
    made = folds(task, 4)
    assert [fold.name for fold in made] == [f"moods-fold{n}" for n in (1, 2, 3, 4)]
    for fold in made:
        assert len(fold.train) + len(fold.validation) == 50
    held = itertools.chain.from_iterable(fold.validation for fold in made)
    assert sorted(map(id, held)) == sorted(map(id, task.train))
    with pytest.raises(TrainingError, match="folds of .* different texts, found 1"):
        folds(task, 1)


def test_every_fold_has_its_share_of_each_label_and_no_text_of_another() -> None:
    twice = [Example(f"text {n // 2}", label=int(n < 20)) for n in range(80)]
    made = folds(Task("t", "classification", label_words=("a", "b"), train=twice), 5)
    for fold in made:
        assert not {one.text for one in fold.train} & {one.text for one in fold.validation}
        assert [one.label for one in fold.validation].count(1) == 4
    with pytest.raises(TrainingError, match="expected 2 to 40 folds of 40 different texts, found"):
        folds(dataclasses.replace(made[0], train=twice), 41)


def test_a_generation_task_is_validated_by_its_loss(causal: FrozenModel) -> None:
    examples = [Example(f"the {word}", target="was sweet") for word in tiny.OTHER]
    task = Task(name="free", kind="generation", train=examples, validation=examples[:4])
    training = train(causal, task, TrainConfig(length=3, steps=30, eval_every=15))
    found = [step.validation for step in training if step.validation]
    assert [validation.metric for validation in found] == ["loss_nats"] * 2
    assert found[1].loss_nats < found[0].loss_nats
    assert found[1].rank > found[0].rank


def test_a_task_is_validated_by_its_own_metric(causal: FrozenModel) -> None:
    task = dataclasses.replace(tiny.task(), metric="macro_f1")
    config = TrainConfig(length=3, steps=1, eval_every=1, objective="label_words", seed=1)
    training = train(causal, task, config)
    (step,) = training
    assert step.validation
    assert step.validation.metric == "macro_f1"
    run = training.runs[0]
    scores = causal.label_scores(run.injection(), run.data.validation).numpy()
    labels = np.array([row.label for row in run.data.validation])
    assert step.validation.value == macro_f1(scores.argmax(1), labels)
    right = np.take_along_axis(scores, labels[:, None], 1)
    assert step.validation.loss_nats == pytest.approx(-right.mean(), rel=1e-5)


def test_the_loss_of_a_validation_is_per_token_as_everywhere_else(
    causal: FrozenModel, task: Task
) -> None:
    wordy = dataclasses.replace(task, label_words=("sweet film", "sour"))
    training = train(causal, wordy, TrainConfig(length=3, steps=1, eval_every=1))
    (step,) = training
    (answers,) = answer(causal, [Condition("", wordy, training.prompts[0])], wordy.validation)
    assert step.validation
    assert step.validation.loss_nats == pytest.approx(answers.losses_nats.mean(), rel=1e-5)


def test_tasks_and_configurations_must_pair(causal: FrozenModel, task: Task) -> None:
    with pytest.raises(TrainingError, match="found 2 tasks and 3 configurations"):
        train(causal, [task, task], [TrainConfig()] * 3)
    with pytest.raises(TrainingError, match="found 0 tasks and 1 configurations"):
        train(causal, [], TrainConfig())
    with pytest.raises(TrainingError, match="task moods has no training examples"):
        train(causal, tiny.task(0, validation=1), TrainConfig())


def test_half_precision_models_train_float32_prompts(causal_folder: Path, task: Task) -> None:
    model = load_model(causal_folder, device="cpu", dtype="bfloat16")
    config = TrainConfig(length=4, steps=20, eval_every=0)
    halves = [step.loss_nats for step in train(model, task, config)]
    whole = [s.loss_nats for s in train(load_model(causal_folder, device="cpu"), task, config)]
    np.testing.assert_allclose(halves, whole, atol=0.15)
    assert halves != whole
    run = train(model, task, config).runs[0]
    assert {parameter.dtype for parameter in run.module.parameters()} == {torch.float32}
