"""A configuration written on a command line is read as the same configuration."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer

from probe import verbs
from probe.cli.requests import App, takes_requests
from probe.requests import TrainRequest, command_of, fields_of
from probe.requests.training import stated
from probe.store import Workspace
from probe.training import TrainConfig

CONFIGS = [
    TrainConfig(),
    TrainConfig(length=3, steps=7, learning_rate=1e-5, seed=2, init='text:it\'s a "test"'),
    TrainConfig(clip_norm=None, patience=3, schedule="cosine", warmup_steps=5),
    TrainConfig(gamma=0.5, target="-- a dash first", template="{prompt:2} {text} It was"),
    TrainConfig(method="prefix_tuning", projection=True, tie_layers=True),
]


def _read(words: list[str]) -> TrainRequest:
    """What the program itself makes of the words behind `probe train`."""
    asked = []

    @takes_requests
    def train(request: TrainRequest) -> None:
        asked.append(request)

    app = App()
    app.command()(train)
    typer.main.get_command(app).main(words, standalone_mode=False)
    return asked[0]


def _arguments(config: TrainConfig) -> list[str]:
    request = TrainRequest(training=stated(config, "builtin"))
    return list(command_of(request, "train")[2:])


@pytest.mark.parametrize("config", CONFIGS)
def test_what_is_written_is_read_as_the_same_configuration(config: TrainConfig) -> None:
    read = _read(["--task", "mood", *shlex.split(shlex.join(_arguments(config)))])
    assert read.config == config


def test_defaults_are_left_out() -> None:
    assert _arguments(TrainConfig()) == []
    assert _arguments(TrainConfig(batch_size=8)) == ["--batch-size", "8"]


def test_every_field_has_words_of_help() -> None:
    assert all(field.help for field in fields_of(TrainConfig))


def test_the_command_of_a_run_asks_for_the_same_run(workspace_of_tests: Workspace) -> None:
    asked = verbs.run_config(
        "builtin",
        "mood",
        {"steps": 5, "clip_norm": None},
        name="-odd",
        folds=2,
        device="cpu",
        test_examples=0,
        workspace=workspace_of_tests,
    )
    program, verb, *words = verbs.train_command(asked)
    assert (program, verb) == ("probe", "train")
    read = _read(words)
    assert read.config.to_dict() == asked.request["training"]
    for field in ("model", "task", "data_dir", "name", "device", "dtype", "folds", "test_examples"):
        assert getattr(read, field) == asked.request[field]


@pytest.fixture
def workspace_of_tests(tmp_path: Any) -> Workspace:
    return Workspace(tmp_path)
