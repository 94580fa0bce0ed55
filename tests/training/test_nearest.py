"""Norms and nearest tokens on the way: what a step says of where the rows are."""

from __future__ import annotations

import pytest
import torch

from probe.models import FrozenModel
from probe.task import Task
from probe.training import TrainConfig, train
from probe.training.initialise import embedded
from probe.training.nearest import Movement, NearestTokens


def test_the_nearest_token_of_an_embedding_is_itself_whatever_its_length(
    causal: FrozenModel,
) -> None:
    ids = [9, 20, 7]
    rows = embedded(causal, ids) * torch.tensor([[0.01], [1.0], [300.0]])
    assert NearestTokens(causal).ids(rows).tolist() == ids


def test_chunks_of_the_table_give_what_the_whole_table_gives(
    causal: FrozenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = torch.randn(12, causal.width, generator=torch.Generator().manual_seed(0))
    table = next(causal.embed.parameters()).detach()
    whole = torch.cosine_similarity(rows[:, None], table[None], dim=-1).argmax(1)
    monkeypatch.setattr("probe.training.nearest._ROWS_AT_ONCE", 7)
    assert NearestTokens(causal).ids(rows).tolist() == whole.tolist()


def test_the_share_counts_positions_whose_token_is_another(causal: FrozenModel) -> None:
    start = embedded(causal, [9, 10, 11, 12])
    movement = Movement(start, causal)
    assert movement.token_change_rate(start * 3) == 0
    assert movement.token_change_rate(embedded(causal, [9, 10, 11, 20])) == 0.25
    assert movement.token_change_rate(start.flip(0)) == 1


def test_a_step_tells_the_norm_its_loss_was_computed_at(causal: FrozenModel, task: Task) -> None:
    training = train(causal, task, TrainConfig(length=3, steps=2, eval_every=0))
    start = training.runs[0].start.rows
    assert start is not None
    first, second = training
    assert first.norm == pytest.approx(float(start.norm(dim=1).mean()), rel=1e-6)
    assert second.norm != first.norm


def test_rows_that_stand_still_have_not_moved_and_rows_that_are_thrown_far_have(
    causal: FrozenModel, task: Task
) -> None:
    still = TrainConfig(length=4, steps=3, eval_every=0, learning_rate=1e-9, init="vocab")
    assert [step.moved for step in train(causal, task, still)] == [0, 0, 0]
    far = TrainConfig(length=4, steps=3, eval_every=0, learning_rate=50.0, init="vocab")
    assert list(train(causal, task, far))[-1].moved > 0.5


def test_a_long_run_looks_fifty_times_and_a_prefix_never(causal: FrozenModel, task: Task) -> None:
    long = TrainConfig(length=1, batch_size=1, steps=125, eval_every=0)
    looked = [step.step for step in train(causal, task, long) if step.moved is not None]
    assert looked == [*range(2, 125, 2), 125]
    prefix = TrainConfig(method="prefix_tuning", length=1, batch_size=1, steps=2, eval_every=0)
    steps = list(train(causal, task, prefix))
    assert [step.moved for step in steps] == [None, None]
    assert all(step.norm > 0 for step in steps)
