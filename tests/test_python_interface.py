"""Every command is a function of `probe` with the same argument names."""

import inspect
import subprocess
import sys

import pytest
import typer

import probe
from probe.cli.main import app
from probe.errors import DataError, TrainingError
from probe.requests import TrainConfig, fields_of

COMMANDS = typer.main.get_command(app).commands
NOT_IN_PYTHON = {"app", "demo", "mcp"}
"""A server."""
OF_A_TERMINAL = {
    "json",
    "html",
    "csv",
    "out",
    "dry_run",
    "detach",
    "resume",
    "fail_on_drop",
    "tag",
    "serve",
}
"""What a result is shown as, and what is done with a process."""


def _functions():
    """Every command that is a function, a group without an answer of its own by its commands."""
    for name, command in COMMANDS.items():
        if getattr(command, "no_args_is_help", False) and hasattr(command, "commands"):
            yield from ((f"{name}_{child}", below) for child, below in command.commands.items())
        elif name not in NOT_IN_PYTHON:
            yield name, command


def _options(command):
    for parameter in command.params:
        long = [option for option in parameter.opts if option.startswith("--")] or [parameter.name]
        yield long[0].lstrip("-").replace("-", "_")


@pytest.mark.parametrize(("name", "command"), sorted(_functions()), ids=str)
def test_a_command_is_a_function_with_its_options_as_arguments(name, command):
    name = name.replace("-", "_")
    function = getattr(probe, name)
    taken = set(inspect.signature(function).parameters)
    if "training" in taken:
        taken |= {
            field.flag.removeprefix("--").replace("-", "_") for field in fields_of(TrainConfig)
        }
    assert set(_options(command)) - OF_A_TERMINAL <= taken
    assert name in probe.__all__


@pytest.mark.process
def test_the_import_is_light_and_names_stay_whatever_is_imported_after_it():
    code = (
        "import sys, probe; light = not {'torch', 'numpy'} & set(sys.modules); "
        "trainer = probe.training.train; probe.models.load_model, probe.formats.load; "
        "import probe.training.loop, probe.evaluation, probe.studies.executor, probe.reports; "
        "print(light, callable(trainer), trainer is probe.train, "
        "all(callable(getattr(probe, n)) for n in "
        "('train', 'evaluate', 'sweep', 'report', 'runs', 'inspect', 'wayward')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "True True False True\n"
    assert {"training", "train", "evaluate", "verbs", "decode"} <= set(dir(probe))


def test_training_takes_the_command_s_options_and_refuses_others(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path))
    with pytest.raises(TrainingError, match="unknown training option 'stepps', did you mean steps"):
        probe.train("builtin", "mood", stepps=3)
    with pytest.raises(TrainingError, match="learning_rate must be a number > 0, found -1"):
        probe.train(model="builtin", task="mood", lr=-1)
    with pytest.raises(DataError, match="name the task"):
        probe.train()
    assert not (tmp_path / "runs").exists()


def test_inspect_gives_the_rows_of_the_command():
    (row,) = probe.inspect("sst2-text")
    assert row["name"] == "sst2-text" and row["shape"] == [20, 320]
