"""Each method makes rows or a prefix, starts where it was told to, and learns only its own."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from probe.errors import TrainingError
from probe.formats import save
from probe.models import FrozenModel, load_model, prepare
from probe.prompt import START_NEAREST, KVPrefix, SoftPrompt
from probe.requests.train_methods import METHODS, TrainMethod
from probe.task import Task
from probe.training import TrainConfig, train
from probe.training.initialise import embedded, ordinary_tokens, start_of, text_ids
from probe.training.methods.base import build_module, injection_of_made
from probe.training.methods.p_tuning import PTuning
from probe.training.nearest import NearestTokens
from tests import tiny

EVERY = [
    TrainConfig(length=4),
    TrainConfig(length=4, method="p_tuning"),
    TrainConfig(length=4, method="p_tuning", encoder="mlp", encoder_width=7),
    TrainConfig(length=4, method="prefix_tuning"),
    TrainConfig(length=4, method="prefix_tuning", projection=True),
    TrainConfig(length=4, method="pez"),
]


def _name(config: TrainConfig) -> str:
    encoder = f"-{config.encoder}" if config.method == "p_tuning" else ""
    return config.method + encoder + ("-mlp" if config.projection else "")


@pytest.mark.parametrize("config", EVERY, ids=_name)
def test_every_method_starts_exactly_at_its_start(
    causal: FrozenModel, task: Task, config: TrainConfig
) -> None:
    """Rows are the tokens' embeddings, and a prefix acts on the text as those rows do."""
    rows = prepare(causal, task, task.validation[:6], prompt_length=4)
    ids = start_of(causal, task, TrainConfig(length=4)).token_ids
    assert ids is not None
    expected = causal.losses(injection_of_made([embedded(causal, ids)]), rows)
    made = build_module(causal, config, start_of(causal, task, config))()
    torch.testing.assert_close(causal.losses(injection_of_made([made]), rows), expected)


@pytest.mark.parametrize("config", EVERY, ids=_name)
def test_every_method_learns_and_the_model_does_not(
    causal: FrozenModel, task: Task, config: TrainConfig
) -> None:
    before = causal.fingerprint
    config = TrainConfig.from_dict(config.to_dict() | {"steps": 40, "eval_every": 0})
    training = train(causal, task, config)
    start = {name: value.clone() for name, value in training.runs[0].module.named_parameters()}
    losses = [step.loss_nats for step in training]
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.02
    for name, value in training.runs[0].module.named_parameters():
        assert not torch.equal(value, start[name]), f"{name} has not moved"
    assert causal.fingerprint == before
    assert all(parameter.grad is None for parameter in causal.model.parameters())


def test_a_random_p_tuning_prompt_is_the_encoders_output_alone() -> None:
    module = PTuning(torch.zeros(5, 6), "lstm", 8, adds=False)
    assert module.lstm is not None
    states, _ = module.lstm(module.inputs)
    assert states.shape == (5, 8)
    torch.testing.assert_close(module(), module.mlp(states))
    assert module().std(0).min() > 0, "all rows look alike"


def test_a_fresh_encoder_leaves_the_global_generator_alone(causal: FrozenModel, task: Task) -> None:
    config = TrainConfig(length=3, method="p_tuning", init="random")
    state = torch.get_rng_state()
    one, two = (build_module(causal, config, start_of(causal, task, config)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one(), two())


def test_pez_rows_are_always_embeddings_of_ordinary_tokens(causal: FrozenModel, task: Task) -> None:
    config = TrainConfig(length=4, method="pez", steps=30, eval_every=10, learning_rate=0.3)
    training = train(causal, task, config)
    list(training)
    (prompt,) = training.prompts
    assert isinstance(prompt, SoftPrompt)
    chosen = prompt.config["token_ids"]
    assert torch.equal(torch.tensor(prompt.embeddings), embedded(causal, chosen))
    assert not set(chosen) & set(causal.tokenizer.all_special_ids)
    assert chosen != list(prompt.init_token_ids or ())


def test_pez_takes_the_token_nearest_by_cosine(causal: FrozenModel, task: Task) -> None:
    config = TrainConfig(length=2, init="text:soup day", method="pez")
    module = build_module(causal, config, start_of(causal, task, config))
    ids = text_ids(causal, "soup day")
    with torch.no_grad():
        module.rows.mul_(torch.tensor([[0.01], [50.0]]))
    assert torch.equal(module(), embedded(causal, ids))


def test_a_mixture_starts_between_its_token_and_the_mean_of_all_others(
    causal: FrozenModel, task: Task
) -> None:
    config = TrainConfig(length=2, init="text:soup day", method="mixture")
    module = build_module(causal, config, start_of(causal, task, config))
    tokens = ordinary_tokens(causal).tolist()
    for row, token in zip(module(), text_ids(causal, "soup day"), strict=True):
        others = embedded(causal, [each for each in tokens if each != token]).mean(0)
        torch.testing.assert_close(row.detach(), (embedded(causal, [token])[0] + others) / 2)


def test_a_mixture_narrows_to_one_token_which_its_export_names(
    causal: FrozenModel, task: Task
) -> None:
    config = TrainConfig(
        length=3, method="mixture", steps=60, eval_every=0, learning_rate=0.3, init="vocab"
    )
    training = train(causal, task, config)
    steps = list(training)
    assert steps[-1].loss_nats < steps[0].loss_nats
    (prompt,) = training.prompts
    assert isinstance(prompt, SoftPrompt) and prompt.config["training"]["method"] == "mixture"
    assert prompt.config["mixture_temperature"] == pytest.approx(0.1, rel=0.05)
    assert np.mean(prompt.config["mixture_weights"]) > 0.5
    ids = prompt.config["mixture_token_ids"]
    assert set(ids) <= set(ordinary_tokens(causal).tolist())
    nearest = NearestTokens(causal).ids(torch.tensor(prompt.embeddings))
    assert nearest.tolist() == ids
    started = list(training.runs[0].start.token_ids or ())
    assert prompt.init_token_ids is None, "its rows began half way to the mean of all others"
    assert prompt.config[START_NEAREST] == started


def test_a_mixture_is_as_narrow_at_a_step_however_it_came_there(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    config = TrainConfig(length=2, method="mixture", steps=8, eval_every=0, checkpoint_every=4)
    whole = train(causal, task, config)
    list(whole)
    half = train(causal, task, config, run_folder=tmp_path / "run")
    for step in half:
        if step.step == 5:
            break
    half.save()
    again = train(causal, task, config, run_folder=tmp_path / "run", resume=True)
    assert [step.step for step in again] == [6, 7, 8]
    (expected,), (found,) = whole.prompts, again.prompts
    assert isinstance(expected, SoftPrompt) and isinstance(found, SoftPrompt)
    np.testing.assert_array_equal(found.embeddings, expected.embeddings)


def test_slots_put_the_rows_around_the_words_and_anchors(causal: FrozenModel, task: Task) -> None:
    config = TrainConfig(template="{prompt:2}{text} it{prompt:1} was", eval_every=0, steps=3)
    training = train(causal, task, config)
    assert [len(prompt) for prompt in training.prompts] == [3]
    row = training.runs[0].data.train[0]
    anchors = text_ids(causal, "it was")
    assert row.prefix_ids[-2:] == anchors
    shown = row.items(3)
    assert [i for i in shown if i < 0] == [-1, -2, -3]
    assert shown[:2] == [-1, -2]
    assert shown[-3:] == [anchors[0], -3, anchors[1]]
    assert len(list(training)) == 3
    assert training.prompts[0].config["template"] == config.template


def test_tied_layers_repeat_the_lower_half(tmp_path: Path, task: Task) -> None:
    model = load_model(tiny.save_encoder_decoder(tmp_path, layers=2), device="cpu")
    config = TrainConfig(method="prefix_tuning", tie_layers=True, length=2, steps=4, eval_every=0)
    training = train(model, task, config)
    list(training)
    (prefix,) = training.prompts
    assert isinstance(prefix, KVPrefix)
    assert prefix.submodule == "decoder"
    assert (prefix.keys[0] == prefix.keys[1]).all()
    with pytest.raises(TrainingError, match="even number of decoder layers"):
        odd = load_model(tiny.save_encoder_decoder(tmp_path / "odd", layers=3), device="cpu")
        train(odd, task, config)


def test_shorter_prompts_are_padded_behind(causal: FrozenModel) -> None:
    injection = injection_of_made([torch.ones(2, 16), torch.ones(5, 16)])
    assert injection.lengths == [2, 5]
    assert injection.embeddings is not None
    assert injection.embeddings.shape == (2, 5, 16)
    assert injection.embeddings[0].sum() == 2 * 16
    prefixes = injection_of_made([torch.ones(2, 2, 2, 1, 4), torch.ones(2, 2, 2, 3, 4)])
    assert prefixes.key_values is not None
    assert [tuple(keys.shape) for keys, _ in prefixes.key_values] == [(2, 2, 3, 4)] * 2


def test_a_model_without_keys_and_values_takes_no_prefix(masked: FrozenModel, task: Task) -> None:
    with pytest.raises(TrainingError, match="prefix tuning needs a causal or encoder"):
        train(masked, task, TrainConfig(method="prefix_tuning"))


def test_prompts_of_one_batch_are_of_one_kind(causal: FrozenModel, task: Task) -> None:
    configs = [TrainConfig(length=2), TrainConfig(length=2, method="prefix_tuning")]
    with pytest.raises(TrainingError, match="prefixes do not mix with rows"):
        train(causal, task, configs)


def _linear(module: nn.Module) -> list[nn.Linear]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def test_the_encoder_is_as_wide_as_asked(causal: FrozenModel, task: Task) -> None:
    narrow = build_module(causal, EVERY[2], start_of(causal, task, EVERY[2]))
    assert [layer.out_features for layer in _linear(narrow)] == [7, causal.width]


def test_a_saved_prompt_is_a_start_for_every_method(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(size=(4, causal.width)).astype(np.float32)
    file = save(SoftPrompt("p", rows), tmp_path / "p.npy", to="npy")
    for config in EVERY[:3]:
        config = TrainConfig.from_dict(config.to_dict() | {"init": f"prompt:{file}"})
        made = build_module(causal, config, start_of(causal, task, config))()
        torch.testing.assert_close(made.detach(), torch.tensor(rows), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("config", "rate"),
    [
        (TrainConfig(), 0.18),
        (TrainConfig(method="pez"), 0.18),
        (TrainConfig(method="mixture"), 0.3),
        (TrainConfig(method="p_tuning"), 0.003),
        (TrainConfig(method="prefix_tuning"), 0.1),
        (TrainConfig(method="prefix_tuning", projection=True), 0.003),
    ],
)
def test_every_method_has_a_rate_of_its_own(
    causal: FrozenModel, task: Task, config: TrainConfig, rate: float
) -> None:
    module = build_module(causal, config, start_of(causal, task, config))
    assert module.default_rate(0.18) == rate


def test_every_method_is_in_the_registry_and_has_a_module() -> None:
    assert set(METHODS) == set(get_args(TrainMethod))
    for name, spec in METHODS.items():
        assert callable(importlib.import_module(f"probe.training.methods.{name}").build)
        assert set(spec.options) <= {field.name for field in dataclasses.fields(TrainConfig)}
