"""Attributions of losses whose gradients are known, and of a tiny model."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau, spearmanr

from probe.analysis.attribution import attributed, level
from probe.analysis.rank_agreement import rank_agreements
from probe.bootstrap import Bootstrap
from probe.models import load_model, scorer
from probe.models.scoring import slopes_of
from probe.prompt import KVPrefix, SoftPrompt
from tests import tiny

ROWS = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], np.float32)
SIZES = np.array([1.0, 2.0, 4.0])


def cubic(prompt, direction):
    """The loss of an example is its size times the sum of all cubes."""
    rows, way = (one.embeddings.astype(float) for one in (prompt, direction))
    return SIZES * (rows**3).sum(), SIZES[:, None] * (3 * rows**2 * way).sum(1)


def divided(method, **others):
    prompt = SoftPrompt("p", ROWS)
    given = {"named": "zero", "bootstrap": Bootstrap(3)} | others
    return attributed(prompt, level(prompt, to="zero"), cubic, method=method, **given)


def test_integrated_gradients_of_a_sum_of_cubes_are_each_row_s_own_cubes():
    found = divided("integrated_gradients", steps=8)
    np.testing.assert_allclose(found.by_example, -SIZES[:, None] * (ROWS**3).sum(1), rtol=1e-5)
    assert found.baseline_change_nats == pytest.approx(-SIZES.mean() * (ROWS**3).sum(), rel=1e-6)
    assert found.gap_nats == pytest.approx(0, abs=1e-4)


def test_gradient_times_input_takes_the_loss_to_be_linear():
    found = divided("gradient_input")
    np.testing.assert_allclose(found.by_example, -3 * SIZES[:, None] * (ROWS**3).sum(1), rtol=1e-5)
    assert found.steps == 1
    assert found.gap_nats == pytest.approx(2 * found.baseline_change_nats, rel=1e-5)


@pytest.mark.parametrize(("kind", "to"), [("rows", "mean"), ("prefix", "mean"), ("prefix", "zero")])
def test_parts_of_a_model_s_rows_sum_to_the_difference_of_its_losses(tmp_path, kind, to):
    model = load_model(str(tiny.save_causal(tmp_path)))
    task, rng = tiny.task(8), np.random.default_rng(0)
    examples = task.train[:5]
    prompt = SoftPrompt("p", rng.normal(size=(4, 16)))
    if kind == "prefix":
        prompt = KVPrefix("p", *rng.normal(size=(2, 2, 2, 4, 4)))
    baseline = level(prompt, to=to)
    found = attributed(
        prompt, baseline, slopes_of(model, task, examples), method="integrated_gradients",
        named=to, steps=32, bootstrap=Bootstrap(5),
    )  # fmt: skip
    labels = [example.label for example in examples]
    score = scorer(model, task)
    losses = [-score(one, examples)[range(5), labels] for one in (prompt, baseline)]
    np.testing.assert_allclose(found.by_example.sum(1), losses[1] - losses[0], atol=2e-3)
    assert abs(found.gap_nats) < 1e-3 < abs(found.baseline_change_nats)


def test_what_the_parts_miss_is_told_where_the_loss_jumps_beside_the_baseline(tmp_path):
    """A Llama normalises rows until they are zero."""
    model = load_model(str(tiny.save_causal(tmp_path)))
    task, rows = tiny.task(8), np.random.default_rng(0).normal(size=(4, 16))
    prompt = SoftPrompt("p", rows)
    found = attributed(
        prompt, level(prompt, to="zero"), slopes_of(model, task, task.train[:5]),
        method="integrated_gradients", named="zero", steps=24, bootstrap=Bootstrap(5),
    )  # fmt: skip
    total = sum(one.value for one in found.positions)
    assert abs(found.gap_nats) > 1e-3
    assert total - found.baseline_change_nats == pytest.approx(found.gap_nats, abs=1e-6)


def test_slopes_are_differences_of_losses_over_a_small_step(tmp_path):
    model = load_model(str(tiny.save_causal(tmp_path)))
    task, rng = tiny.task(8), np.random.default_rng(1)
    examples, rows = task.train[:3], rng.normal(size=(3, 16))
    prompt, way = SoftPrompt("p", rows), rng.normal(size=(3, 16))
    slopes = slopes_of(model, task, examples)
    losses, parts = slopes(prompt, SoftPrompt("d", way))
    for i in range(3):
        only = np.where(np.arange(3)[:, None] == i, way, 0)
        ahead, behind = (
            slopes(dataclasses.replace(prompt, embeddings=rows + h * only), prompt)[0]
            for h in (3e-3, -3e-3)
        )
        np.testing.assert_allclose(parts[:, i], (ahead - behind) / 6e-3, rtol=0.01, atol=5e-3)
    assert losses.shape == (3,) and torch.is_grad_enabled()


def test_rank_agreements_are_those_of_scipy_with_intervals_over_examples():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(40, 6)) + np.arange(6)
    other = one + rng.normal(size=(40, 6))
    other[:, 5] = other[:, 4]  # a tie
    (found,) = rank_agreements({"a": one, "b": other}, Bootstrap(40))
    means = one.mean(0), other.mean(0)
    assert found.spearman.value == pytest.approx(spearmanr(*means).statistic)
    assert found.kendall.value == pytest.approx(kendalltau(*means).statistic)
    low, high = found.spearman.interval
    assert low <= found.spearman.value <= high
    assert rank_agreements({"a": one[:, :2], "b": other[:, :2]}, Bootstrap(40)) == []
