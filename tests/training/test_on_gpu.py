"""A GPU trains what a processor trains: every method, family and precision, K prompts at once."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from probe.models import FrozenModel, load_model
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt
from probe.task import Task
from probe.training import TrainConfig, train
from tests import tiny
from tests.models.exactness import generate

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]

COMMON = {"steps": 12, "length": 4, "eval_every": 6, "eval_examples": 16, "learning_rate": 0.05}
METHODS = {
    "prompt_tuning": TrainConfig(**COMMON),
    "near_a_target": TrainConfig(**{**COMMON, "length": None}, target="the film was", gamma=0.5),
    "p_tuning": TrainConfig(**COMMON, method="p_tuning"),
    "p_tuning_mlp": TrainConfig(**COMMON, method="p_tuning", encoder="mlp", init="random"),
    "prefix_tuning": TrainConfig(**COMMON, method="prefix_tuning"),
    "projected_prefix": TrainConfig(**COMMON, method="prefix_tuning", projection=True),
    "pez": TrainConfig(**{**COMMON, "learning_rate": 0.3}, method="pez"),
}
SAVE = {
    "causal": tiny.save_causal,
    "gpt2": tiny.save_gpt2,
    "encoder_decoder": tiny.save_encoder_decoder,
    "masked": tiny.save_masked,
    "sentence_encoder": tiny.save_sentence_encoder,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {family: tmp_path_factory.mktemp(family) for family in SAVE}
    return {family: save(made[family]) for family, save in SAVE.items()}


def _run(
    model: FrozenModel, task: Task, configs: list[TrainConfig]
) -> tuple[np.ndarray, list[AnyPrompt]]:
    """Losses [K, steps] and the prompts."""
    training = train(model, task, configs)
    losses: list[list[float]] = [[] for _ in configs]
    for step in training:
        losses[step.prompt].append(step.loss_nats)
    return np.array(losses), training.prompts


def _array(prompt: AnyPrompt) -> np.ndarray:
    if isinstance(prompt, KVPrefix):
        return np.concatenate([prompt.keys.ravel(), prompt.values.ravel()])
    assert isinstance(prompt, SoftPrompt)
    return prompt.embeddings


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_the_losses_of_the_processor(
    folders: dict[str, Path], task: Task, method: str
) -> None:
    losses = [
        _run(load_model(folders["causal"], device=device), task, [METHODS[method]])[0]
        for device in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("family", SAVE)
def test_every_family_trains(folders: dict[str, Path], task: Task, family: str) -> None:
    config = TrainConfig(**{**COMMON, "steps": 25})
    losses = [
        _run(load_model(folders[family], device=device), task, [config])[0]
        for device in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(losses[1][:, :5], losses[0][:, :5], rtol=2e-3, atol=2e-3)
    assert losses[1][0, -5:].mean() < losses[1][0, :5].mean()


@pytest.mark.parametrize("kind", ["prompt_tuning", "prefix_tuning"])
@pytest.mark.parametrize("count", [1, 4, 16, 64])
def test_k_prompts_at_once_end_as_they_would_alone(
    folders: dict[str, Path], task: Task, kind: str, count: int
) -> None:
    model = load_model(folders["causal"], device="cuda")
    configs = [
        TrainConfig(**{**COMMON, "length": 2 + seed % 5}, method=kind, seed=seed)  # type: ignore[arg-type]
        for seed in range(count)
    ]
    losses, prompts = _run(model, task, configs)
    for number in {0, count // 2, count - 1}:
        alone, (prompt,) = _run(model, task, [configs[number]])
        np.testing.assert_allclose(losses[number], alone[0], rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(_array(prompts[number]), _array(prompt), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("method", ["prompt_tuning", "prefix_tuning", "p_tuning"])
@pytest.mark.parametrize("family", ["causal", "encoder_decoder"])
def test_bfloat16_stays_close_to_float32(
    folders: dict[str, Path], task: Task, method: str, family: str
) -> None:
    config = TrainConfig(**COMMON, method=method)  # type: ignore[arg-type]
    exact, half = (
        _run(load_model(folders[family], device="cuda", dtype=dtype), task, [config])
        for dtype in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(half[0], exact[0], rtol=0.1, atol=0.1)
    assert _array(half[1][0]).dtype == np.float32


@pytest.mark.parametrize("method", ["prompt_tuning", "prefix_tuning", "p_tuning"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_resumed_run_ends_where_one_without_a_break_ends(
    folders: dict[str, Path], task: Task, tmp_path: Path, method: str, dtype: str
) -> None:
    model = load_model(folders["causal"], device="cuda", dtype=dtype)
    config = TrainConfig(**{**COMMON, "checkpoint_every": 4}, method=method, dropout=0.1)  # type: ignore[arg-type]
    _, (whole,) = _run(model, task, [config])
    broken = train(model, task, config, run_folder=tmp_path)
    for _ in itertools.islice(broken, 7):
        pass
    broken.save()
    resumed = train(model, task, config, run_folder=tmp_path, resume=True)
    assert next(iter(resumed)).step == 8
    for _ in resumed:
        pass
    np.testing.assert_allclose(
        _array(resumed.prompts[0]),
        _array(whole),
        rtol=1e-3,
        atol=1e-3 if dtype == "float32" else 0.05,
    )


def test_a_prompt_trained_on_a_gpu_is_a_file_like_any_other(
    folders: dict[str, Path], task: Task
) -> None:
    on_gpu = load_model(folders["causal"], device="cuda")
    _, (prompt,) = _run(on_gpu, task, [TrainConfig(**COMMON)])
    on_cpu = load_model(folders["causal"], device="cpu")
    injections = [model.injection_of([prompt]) for model in (on_gpu, on_cpu)]
    written = [
        generate(model, each, ["the film was"], max_new_tokens=4)
        for model, each in zip((on_gpu, on_cpu), injections, strict=True)
    ]
    assert written[0] == written[1]
