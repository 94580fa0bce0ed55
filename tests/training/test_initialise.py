"""Where prompts start, and what a start that does not fit is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from probe.analysis.decoding import Controls, decode
from probe.errors import PromptFormatError, TrainingError
from probe.formats import save
from probe.models import FrozenModel, prepare
from probe.prompt import KVPrefix, SoftPrompt
from probe.tables import load_vocabulary
from probe.task import Example, Task
from probe.template import slot_sizes
from probe.training import TrainConfig, train
from probe.training.initialise import embedded, resolved_length, start_of, text_ids
from probe.training.methods.base import injection_of_made
from tests import tiny


def _ids(model: FrozenModel, task: Task, **fields: object) -> tuple[int, ...]:
    start = start_of(model, task, TrainConfig.from_dict(fields))
    assert start.token_ids is not None
    assert start.rows is not None
    assert torch.equal(start.rows, embedded(model, start.token_ids))
    return start.token_ids


def test_words_start_the_prompt_and_give_it_its_length(causal: FrozenModel, task: Task) -> None:
    words = text_ids(causal, "the film was")
    assert _ids(causal, task, init="text:the film was") == words
    assert _ids(causal, task, init="text:the film was", length=5) == (*words, *words[:2])
    assert _ids(causal, task, init="text:the film was", length=2) == words[:2]


def test_label_words_come_first_and_vocabulary_tokens_fill_up(
    causal: FrozenModel, task: Task
) -> None:
    labels = tuple(i for word in task.label_words for i in text_ids(causal, word))
    ids = _ids(causal, task, init="labels", length=6)
    assert ids[:2] == labels
    assert len(set(ids[2:])) == 4
    assert _ids(causal, task, init="labels", length=1) == labels[:1]


def test_vocabulary_starts_are_ordinary_tokens_drawn_by_the_seed(
    causal: FrozenModel, task: Task
) -> None:
    drawn = [_ids(causal, task, init="vocab", length=30, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 30
    assert not set(drawn[0]) & set(causal.tokenizer.all_special_ids)
    first = set(range(len(tiny.SPECIAL), len(tiny.SPECIAL) + 4))
    assert set(_ids(causal, task, init="vocab:4", length=20)) == first


def test_noise_has_the_spread_of_the_table(causal: FrozenModel, task: Task) -> None:
    start = start_of(causal, task, TrainConfig(init="random", length=200))
    assert start.rows is not None
    assert start.token_ids is None
    table = next(causal.embed.parameters())
    assert float(start.rows.std()) == pytest.approx(float(table.std()), rel=0.1)


def test_without_a_length_there_are_twenty_tokens(causal: FrozenModel) -> None:
    assert resolved_length(causal, TrainConfig()) == 20
    assert resolved_length(causal, TrainConfig(length=3)) == 3
    assert resolved_length(causal, TrainConfig(target="the film was")) == 3
    assert resolved_length(causal, TrainConfig(template="{prompt:3}{text}{prompt:4}")) == 7


def test_two_lengths_at_once_are_refused(causal: FrozenModel, task: Task) -> None:
    config = TrainConfig(length=4, target="the film was")
    with pytest.raises(TrainingError, match="one number of virtual tokens, found length 4, target"):
        start_of(causal, task, config)


def test_a_prompt_starts_a_prompt(causal: FrozenModel, task: Task, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(3, causal.width)).astype(np.float32)
    source = save(SoftPrompt("p", rows), tmp_path / "p.safetensors", to="safetensors")
    start = start_of(causal, task, TrainConfig(init=f"prompt:{source}"))
    assert start.rows is not None
    assert (start.rows.numpy() == rows).all()


def test_a_prompt_that_goes_on_from_another_has_left_the_start_of_neither(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    """What it is compared with are the rows it began at, not the tokens the other began at."""
    rows = embedded(causal, [20, 21, 22]).numpy()
    other = SoftPrompt("p", rows, init_token_ids=(7, 8, 9))
    source = save(other, tmp_path / "p.safetensors", to="safetensors")
    config = TrainConfig(init=f"prompt:{source}", steps=1, learning_rate=1e-9, eval_every=0)
    training = train(causal, task, config)
    list(training)
    (made,) = training.prompts
    assert isinstance(made, SoftPrompt)
    assert made.init_token_ids is None, "its rows are no tokens, for all that is known"
    vocabulary = load_vocabulary(causal.name)
    assert decode(made, vocabulary, controls=Controls(computed=False)).never_left_start == (3, 3)
    moved = replace(made, embeddings=-made.embeddings)
    assert decode(
        moved, vocabulary, controls=Controls(computed=False), metric="l2"
    ).never_left_start == (0, 3)


def test_a_prefix_starts_a_prefix_and_rows_start_one_that_acts_alike(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    assert causal.kv_shape is not None
    layers, heads, head_dim = causal.kv_shape
    keys, values = (
        np.random.default_rng(seed).normal(size=(layers, heads, 3, head_dim)).astype(np.float32)
        for seed in (0, 1)
    )
    source = save(KVPrefix("k", keys, values), tmp_path / "k.safetensors", to="safetensors")
    config = TrainConfig(method="prefix_tuning", init=f"prompt:{source}")
    prefix = start_of(causal, task, config).prefix
    assert prefix is not None
    assert (prefix[:, 0].numpy() == keys).all()
    assert (prefix[:, 1].numpy() == values).all()

    rows = torch.randn(3, causal.width, generator=torch.Generator().manual_seed(0))
    source = save(SoftPrompt("p", rows.numpy()), tmp_path / "p.npy", to="npy")
    config = TrainConfig(method="prefix_tuning", init=f"prompt:{source}")
    prefix = start_of(causal, task, config).prefix
    assert prefix is not None
    texts = prepare(causal, task, task.train[:5])
    torch.testing.assert_close(
        causal.losses(injection_of_made([prefix]), texts),
        causal.losses(injection_of_made([rows]), texts),
    )


def test_a_prompt_that_does_not_fit_says_how(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    narrow = save(SoftPrompt("p", np.ones((3, 5), np.float32)), tmp_path / "n.npy", to="npy")
    keys = np.ones((7, 1, 3, 2), np.float32)
    deep = save(KVPrefix("k", keys, keys), tmp_path / "k.safetensors", to="safetensors")

    def start(**fields: object) -> None:
        start_of(causal, task, TrainConfig.from_dict(fields))

    with pytest.raises(TrainingError, match=r"has rows \(3, 5\), .* takes \(3, 16\)"):
        start(init=f"prompt:{narrow}")
    with pytest.raises(TrainingError, match=r"has rows \(3, 5\), .* length 4 takes \(4, 16\)"):
        start(init=f"prompt:{narrow}", length=4)
    with pytest.raises(TrainingError, match=r"keys \(7, 1, 3, 2\), .* takes \(2, 2, 3, 4\)"):
        start(init=f"prompt:{deep}", method="prefix_tuning")
    with pytest.raises(TrainingError, match="is a prefix of keys and values, expected rows"):
        start(init=f"prompt:{deep}")
    with pytest.raises(PromptFormatError, match="expected a file, a folder or a hub id"):
        start(init=f"prompt:{tmp_path / 'nothing'}")


def test_a_task_without_labels_cannot_start_at_them(causal: FrozenModel) -> None:
    task = Task(name="free", kind="generation", train=[Example("the film", target="was sweet")])
    with pytest.raises(TrainingError, match="task free has no label words to start from"):
        start_of(causal, task, TrainConfig(init="labels"))


def test_a_template_without_slots_is_refused() -> None:
    assert slot_sizes("{prompt:3}{text} it{prompt:10} was") == (3, 10)
    for template in ("{text} it was", "{prompt:0}{text}", "{prompt}{text}"):
        with pytest.raises(TrainingError, match="says where the virtual tokens stand"):
            slot_sizes(template)
