"""What a prompt trains on and is validated on is for the configuration to say."""

from __future__ import annotations

import pytest

from probe.errors import TrainingError
from probe.models import FrozenModel
from probe.task import Example, Task
from probe.training import TrainConfig, train
from tests import tiny


def test_holdout_decides_how_much_validates_and_none_may(causal: FrozenModel) -> None:
    task = tiny.task(100, validation=0)

    def sizes(holdout: float) -> tuple[int, int]:
        data = train(causal, task, TrainConfig(length=2, holdout=holdout)).runs[0].data
        return len(data.train), len(data.validation)

    texts = len({example.text for example in task.train})
    assert sizes(0.5)[1] >= texts // 2 > sizes(0.1)[1] > 0
    assert sizes(0) == (100, 0)


def test_patience_without_validation_examples_is_refused(causal: FrozenModel) -> None:
    task = tiny.task(40, validation=0)
    config = TrainConfig(length=2, holdout=0)
    patient = TrainConfig(length=2, holdout=0, patience=2)
    with pytest.raises(TrainingError, match="moods has no validation examples, which patience"):
        train(causal, task, [config, patient])
    assert train(causal, tiny.task(40), patient).runs[0].data.validation


def test_what_would_silently_teach_or_stop_nothing_is_refused(causal: FrozenModel) -> None:
    with pytest.raises(TrainingError, match="with eval_every 0 there are none: set eval_every"):
        train(causal, tiny.task(40), TrainConfig(length=2, patience=2, eval_every=0))
    free = Task("free", "generation", train=[Example("the film", target="was sweet")])
    with pytest.raises(TrainingError, match="free asks for texts, and the objective label_words"):
        train(causal, free, TrainConfig(length=2, objective="label_words"))
