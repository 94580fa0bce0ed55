"""Every family of models trains with every method it can read, alone and at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from probe.models import FrozenModel, load_model
from probe.prompt import KVPrefix, SoftPrompt
from probe.task import Example, Task
from probe.training import TrainConfig, train
from tests import tiny

SAVERS: dict[str, Callable[[Path], Path]] = {
    "causal": tiny.save_gpt2,
    "encoder_decoder": tiny.save_encoder_decoder,
    "masked": tiny.save_masked,
    "sentence_encoder": tiny.save_sentence_encoder,
}
ROWS = [
    {"length": 3},
    {"method": "p_tuning", "length": 5},
    {"method": "pez", "length": 4, "learning_rate": 0.3},
    {"method": "mixture", "length": 2, "learning_rate": 0.5},
]
PREFIXES = [
    {"method": "prefix_tuning", "length": 3},
    {"method": "prefix_tuning", "projection": True, "length": 5},
]
CASES = [(family, ROWS) for family in SAVERS] + [
    (family, PREFIXES) for family in ("causal", "encoder_decoder")
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FrozenModel]:
    return {
        family: load_model(save(tmp_path_factory.mktemp(family)), device="cpu")
        for family, save in SAVERS.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "methods"),
    CASES,
    ids=[f"{c[0]}-{'rows' if c[1] is ROWS else 'prefixes'}" for c in CASES],
)
def test_a_family_trains_its_methods_at_once_as_alone(
    models: dict[str, FrozenModel], family: str, methods: list[dict[str, object]], task: Task
) -> None:
    model = models[family]
    assert model.family == family
    before = model.fingerprint
    common = {"steps": 18, "eval_every": 9, "eval_examples": 16, "learning_rate": 0.02}
    configs = [TrainConfig.from_dict(common | method) for method in methods]
    training = train(model, task, configs)
    steps = list(training)
    for number, config in enumerate(configs):
        mine = [step for step in steps if step.prompt == number]
        losses = [step.loss_nats for step in mine]
        assert np.mean(losses[-6:]) < np.mean(losses[:6])
        alone = train(model, task, config)
        expected = [step.loss_nats for step in alone]
        np.testing.assert_allclose(losses, expected, atol=1e-5)
        found, same = training.prompts[number], alone.prompts[0]
        if isinstance(found, KVPrefix) and isinstance(same, KVPrefix):
            assert model.kv_shape is not None
            assert (len(found.keys), found.keys.shape[1]) == model.kv_shape[:2]
            np.testing.assert_allclose(found.keys, same.keys, atol=1e-5)
        else:
            assert isinstance(found, SoftPrompt)
            assert isinstance(same, SoftPrompt)
            assert found.submodule == ("encoder" if family == "encoder_decoder" else None)
            np.testing.assert_allclose(found.embeddings, same.embeddings, atol=1e-5)
    assert model.fingerprint == before


@pytest.mark.parametrize("family", SAVERS)
def test_a_family_trains_in_bfloat16_on_a_cpu(family: str, tmp_path: Path, task: Task) -> None:
    model = load_model(SAVERS[family](tmp_path), device="cpu", dtype="bfloat16")
    training = train(model, task, TrainConfig(length=3, steps=25, learning_rate=0.02, eval_every=0))
    losses = [step.loss_nats for step in training]
    assert np.mean(losses[-6:]) < np.mean(losses[:6])
    (prompt,) = training.prompts
    assert isinstance(prompt, SoftPrompt) and prompt.embeddings.dtype == np.float32


def test_the_paper_objective_trains_through_the_tail_of_the_template(
    models: dict[str, FrozenModel],
) -> None:
    task = tiny.task()
    template = "{text} it was {label} so"
    configs = [
        TrainConfig(length=3, steps=3, eval_every=0, objective=objective, template=None)
        for objective in ("full", "paper")
    ]
    tailed = Task(
        name="tailed",
        kind="classification",
        template=template,
        label_words=task.label_words,
        train=task.train,
    )
    steps = list(train(models["causal"], tailed, configs))
    assert steps[0].loss_nats != pytest.approx(steps[1].loss_nats, abs=1e-3)


@pytest.mark.parametrize("family", ["causal", "encoder_decoder"])
def test_a_generation_task_trains_on_its_targets(
    models: dict[str, FrozenModel], family: str
) -> None:
    examples = [Example(f"the {word}", target=f"was {word}") for word in tiny.OTHER]
    task = Task(name="free", kind="generation", train=examples, validation=examples)
    training = train(models[family], task, TrainConfig(length=4, steps=40, eval_every=20))
    found = [step.validation.loss_nats for step in training if step.validation]
    assert found[1] < found[0]
