"""A training configuration refuses what it cannot mean, in one clear line."""

from __future__ import annotations

import dataclasses
import json

import pytest

from probe.errors import TrainingError
from probe.requests.train_config import _RULES
from probe.training import TrainConfig


def test_a_configuration_survives_json() -> None:
    config = TrainConfig(method="p_tuning", init="text:a b", learning_rate=0.3, clip_norm=None)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_unknown_option_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(
        TrainingError, match="unknown training option 'leraning_rate', did you mean"
    ):
        TrainConfig.from_dict({"leraning_rate": 1})


def test_every_field_is_checked() -> None:
    assert _RULES.keys() == TrainConfig().to_dict().keys()
    for field in dataclasses.fields(TrainConfig):
        with pytest.raises(TrainingError, match=f"^{field.name} must be .*, found <object"):
            TrainConfig.from_dict({field.name: object()})
        if "None" not in str(field.type):
            with pytest.raises(TrainingError, match=f"^{field.name} must be .*, found None"):
                TrainConfig.from_dict({field.name: None})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "lora"}, "method must be one of prompt_tuning, .*found 'lora'"),
        ({"length": 0}, "length must be a whole number ≥ 1, found 0"),
        ({"steps": True}, "steps must be a whole number ≥ 1, found True"),
        ({"steps": 1.5}, "steps must be a whole number"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number > 0, found nan"),
        ({"learning_rate": 0}, "learning_rate must be a number > 0, found 0"),
        ({"learning_rate": True}, "learning_rate must be a number > 0, found True"),
        ({"learning_rate": 10**400}, "learning_rate must be a number > 0"),
        ({"clip_norm": 0}, "clip_norm must be a number > 0, or None to never clip, found 0"),
        ({"weight_decay": -1}, "weight_decay must be a number ≥ 0"),
        ({"weight_decay": None}, "weight_decay must be a number ≥ 0"),
        ({"dropout": 1}, "dropout must be a share ≥ 0 and below 1, found 1"),
        ({"holdout": -0.1}, "holdout must be a share ≥ 0 and below 1, found -0.1"),
        ({"projection": "false"}, "projection must be true or false, without quotes, found 'false"),
        ({"tie_layers": None}, "tie_layers must be true or false, without quotes, found None"),
        ({"template": 5}, "template must be a text that is not empty, found 5"),
        ({"target": 5}, "target must be a text that is not empty, found 5"),
        ({"target": "  "}, "target must be a text that is not empty, found ' '"),
        ({"init": 3}, "init must be one of text:WORDS, .*found 3"),
        ({"schedule": ["linear"]}, r"schedule must be one of constant, .*found \['linear'\]"),
        ({"init": "text:"}, "init must be one of text:WORDS"),
        ({"init": "vocab:many"}, "init must be one of .*found 'vocab:many'"),
        ({"init": "labels:2"}, "init must be one of"),
        ({"gamma": 0.1}, "gamma needs a target"),
        ({"method": "prefix_tuning", "target": "a"}, "lives in key/value space"),
        ({"method": "prefix_tuning", "template": "{prompt:2}{text}"}, "leave the template out"),
        ({"projection": True}, "belong to prefix_tuning"),
    ],
)
def test_a_value_that_cannot_be_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        TrainConfig.from_dict(values)
