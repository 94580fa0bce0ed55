"""Commands run in this process, each test in a workspace of its own."""

from __future__ import annotations

import functools
import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from jsonschema import Draft202012Validator

from probe.cli.main import run

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def flat(self) -> str:
        """Stdout with every run of blanks as one space, so that wrapping does not matter."""
        return re.sub(r"\s+", " ", self.out)


@pytest.fixture(scope="session", autouse=True)
def _commands_built_once():
    """A process runs one command, for which typer builds them all; here it would be hundreds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture(autouse=True)
def _own_folder(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)  # tables are as wide as in any pipe


@pytest.fixture
def probe(capsys):
    """Run `probe` with arguments; whatever it prints is kept apart from other output."""
    log = logging.getLogger("probe")
    before = (log.level, log.handlers, log.propagate)

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(end.value.code or 0, captured.out, captured.err)

    yield call
    log.level, log.handlers, log.propagate = before


@pytest.fixture
def check_schema():
    """Assert that a document is what the named schema says."""

    def check(name: str, document: Any) -> None:
        _validator(name).validate(document)

    return check


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
