"""What a run is not asked for is as a search found it for the model, where there was one."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from probe import verbs
from probe.requests.train_config import TrainMethod
from probe.requests.training import RECOMMENDED, stated, with_recommended
from probe.store import Workspace
from probe.training import TrainConfig


def test_every_recommended_setting_is_a_field_that_a_configuration_takes() -> None:
    for methods in RECOMMENDED.values():
        assert methods.keys() <= set(get_args(TrainMethod))
        for method, settings in methods.items():
            TrainConfig.from_dict({"method": method, **settings})


@pytest.mark.parametrize(
    ("given", "rate", "encoder"),
    [
        ({}, 0.03, "lstm"),
        ({"learning_rate": None, "length": None}, 0.03, "lstm"),
        ({"method": "p_tuning"}, 0.003, "mlp"),
        ({"method": "p_tuning", "encoder": "lstm"}, 0.003, "lstm"),
        ({"method": "prefix_tuning"}, 0.01, "lstm"),
        ({"method": "prefix_tuning", "projection": True}, None, "lstm"),
        ({"learning_rate": 0.2}, 0.2, "lstm"),
        ({"method": "pez"}, None, "lstm"),
    ],
)
def test_smollm2_trains_at_the_rate_of_its_method(
    given: dict[str, Any], rate: float | None, encoder: str
) -> None:
    found = TrainConfig.from_dict(with_recommended("smollm2", given))
    assert (found.learning_rate, found.encoder) == (rate, encoder)


@pytest.mark.parametrize(
    "given",
    [{"init": "text:a good film"}, {"init": "prompt:x.npy"}, {"target": "a film"},
     {"template": "{prompt:3}{text}"}],
)  # fmt: skip
def test_no_length_is_recommended_where_something_else_tells_it(given: dict[str, Any]) -> None:
    assert "length" not in with_recommended("smollm2", given)
    assert with_recommended("smollm2", given | {"length": 4})["length"] == 4


def test_other_models_keep_the_general_defaults() -> None:
    for model in ("builtin", "minilm", "org/model"):
        assert TrainConfig.from_dict(with_recommended(model, {})) == TrainConfig()


def test_a_run_and_its_command_hold_what_was_recommended(tmp_path: Any) -> None:
    pytest.importorskip("gguf")
    asked = verbs.run_config("smollm2", "mood", {"seed": 3}, workspace=Workspace(tmp_path))
    assert (asked.request["training"]["length"], asked.request["training"]["steps"]) == (10, 300)
    command = verbs.train_command(asked)
    assert {"--length", "--lr", "--steps", "--warmup-steps"} <= set(command)


def test_a_command_says_where_a_run_differs_from_what_is_recommended() -> None:
    general = TrainConfig(method="p_tuning")
    told = stated(general, "smollm2")
    assert (told["steps"], told["encoder"]) == (1000, "lstm")
    assert stated(general, "builtin") == {"method": "p_tuning"}
