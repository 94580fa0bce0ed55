"""A configuration written on a command line is read as the same configuration."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

import pytest
import typer

from probe import verbs
from probe.cli.main import app
from probe.store import RunConfig, Workspace
from probe.training import TrainConfig
from probe.training.command_line import arguments, field_help

CONFIGS = [
    TrainConfig(),
    TrainConfig(length=3, steps=7, learning_rate=1e-5, seed=2, init='text:it\'s a "test"'),
    TrainConfig(clip_norm=None, patience=3, schedule="cosine", warmup_steps=5),
    TrainConfig(gamma=0.5, target="-- a dash first", template="{prompt:2} {text} It was"),
    TrainConfig(method="prefix_tuning", projection=True, tie_layers=True),
]


def _read(words: list[str]) -> dict[str, Any]:
    """What the program itself makes of the words behind `probe train`."""
    command = typer.main.get_command(app).commands["train"]
    return command.make_context("train", words).params


@pytest.mark.parametrize("config", CONFIGS)
def test_what_is_written_is_read_as_the_same_configuration(config: TrainConfig) -> None:
    read = _read(["--task", "mood", *shlex.split(shlex.join(arguments(config, "builtin")))])
    assert {name: read[name] for name in config.to_dict()} == config.to_dict()


def test_defaults_are_left_out() -> None:
    assert arguments(TrainConfig(), "builtin") == []
    assert arguments(TrainConfig(batch_size=8), "builtin") == ["--batch-size", "8"]


def test_every_field_has_words_of_help() -> None:
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    assert field_help().keys() == names
    assert all(field_help().values())


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
    assert {name: read[name] for name in TrainConfig().to_dict()} == asked.training
    for field in ("model", "task", "data_dir", "name", "device", "dtype", "folds", "test_examples"):
        assert read[field] == getattr(asked, field)
    assert isinstance(asked, RunConfig)


@pytest.fixture
def workspace_of_tests(tmp_path: Any) -> Workspace:
    return Workspace(tmp_path)
