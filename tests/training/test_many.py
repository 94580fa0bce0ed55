"""K prompts trained at once end as they would alone."""

from __future__ import annotations

import numpy as np
import pytest

from probe.models import FrozenModel
from probe.prompt import KVPrefix
from probe.task import Task
from probe.training import TrainConfig, train
from probe.training.initialise import embedded, text_ids
from tests import tiny

COMMON = {"steps": 12, "eval_every": 5, "eval_examples": 16, "learning_rate": 0.05}
ROWS = [
    TrainConfig(**COMMON, length=3, seed=1),
    TrainConfig(**COMMON, length=7, seed=2, init="labels", batch_size=5, clip_norm=0.1),
    TrainConfig(**COMMON, seed=3, target="the film was", gamma=0.5, init="text:a day so"),
    TrainConfig(**COMMON, seed=3, target="soup it", gamma=2.0, init="random"),
    TrainConfig(**{**COMMON, "steps": 7}, length=4, method="p_tuning", objective="label_words"),
    TrainConfig(**{**COMMON, "learning_rate": 0.3}, length=4, method="pez", schedule="cosine"),
    TrainConfig(
        **{**COMMON, "learning_rate": 0.03},
        length=2,
        optimiser="adafactor",
        dropout=0.3,
        weight_decay=0.01,
    ),
    TrainConfig(**COMMON, template="{prompt:2}{text} it{prompt:1} was", init="vocab:9"),
]
PREFIXES = [
    TrainConfig(**COMMON, method="prefix_tuning", length=3, seed=1),
    TrainConfig(**COMMON, method="prefix_tuning", length=6, seed=2, init="random", batch_size=7),
    TrainConfig(**COMMON, method="prefix_tuning", length=2, projection=True),
]


def _tasks(count: int) -> list[Task]:
    other = tiny.task(40, validation=16, seed=9, name="other")
    three = Task(
        name="three",
        kind="classification",
        template="{text} so",
        label_words=("yes", "no", "quite"),
        train=other.train,
        validation=other.validation,
    )
    return [(tiny.task(), other, three)[number % 3] for number in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("configs", [ROWS, PREFIXES], ids=["rows", "prefixes"])
def test_k_prompts_at_once_equal_k_runs_alone(
    causal: FrozenModel, configs: list[TrainConfig]
) -> None:
    tasks = _tasks(len(configs))
    together = train(causal, tasks, configs)
    steps = list(together)
    assert {step.prompt for step in steps} == set(range(len(configs)))
    for number, (task, config) in enumerate(zip(tasks, configs, strict=True)):
        alone = train(causal, task, config)
        mine = [step for step in steps if step.prompt == number]
        for one, other in zip(mine, alone, strict=True):
            assert one.loss_nats == pytest.approx(other.loss_nats, abs=1e-5)
            assert one.gradient_norm == pytest.approx(other.gradient_norm, abs=1e-4)
            assert one.lr == other.lr
            assert one.stopped == other.stopped
            if one.validation:
                assert other.validation
                assert one.validation.value == other.validation.value
        (expected,), found = alone.prompts, together.prompts[number]
        if isinstance(expected, KVPrefix):
            assert isinstance(found, KVPrefix)
            np.testing.assert_allclose(found.keys, expected.keys, atol=1e-5)
            np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
        else:
            assert not isinstance(found, KVPrefix)
            np.testing.assert_allclose(found.embeddings, expected.embeddings, atol=1e-5)
            assert found.task == task.name


def test_one_configuration_and_many_tasks_make_one_prompt_each(causal: FrozenModel) -> None:
    training = train(causal, _tasks(3), TrainConfig(length=2, steps=2, eval_every=0))
    assert [step.prompt for step in training] == [0, 1, 2, 0, 1, 2]
    assert [prompt.task for prompt in training.prompts] == ["moods", "other", "three"]


def test_prompts_of_one_task_share_its_rows(causal: FrozenModel, task: Task) -> None:
    configs = [TrainConfig(length=2, seed=seed) for seed in range(3)]
    runs = train(causal, task, configs).runs
    assert runs[0].data is runs[1].data is runs[2].data


def test_the_distance_is_the_mean_squared_distance_to_the_targets_tokens(
    causal: FrozenModel, task: Task
) -> None:
    config = TrainConfig(target="the film was", gamma=1.0, init="random", steps=1, eval_every=0)
    training = train(causal, task, config)
    start = training.runs[0].start.rows
    assert start is not None
    target = embedded(causal, text_ids(causal, "the film was")).numpy()
    expected = np.square(start.numpy() - target).sum(1).mean()
    assert next(iter(training)).distance == pytest.approx(float(expected), rel=1e-6)


def test_a_greater_gamma_ends_nearer_to_the_target(causal: FrozenModel, task: Task) -> None:
    configs = [
        TrainConfig(target="the film was", gamma=gamma, init="vocab", steps=80, eval_every=0)
        for gamma in (0.0, 0.1, 10.0)
    ]
    last = list(train(causal, task, configs))[-3:]
    assert last[0].distance > 2 * last[1].distance > 4 * last[2].distance
    assert last[0].loss_nats < last[2].loss_nats
