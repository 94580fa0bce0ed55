"""Requests: what a verb is asked, as options, arguments, a command line and a document."""

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import probe
from probe import PromptPair, SoftPrompt, requests
from probe.cli.requests import App, takes_requests
from probe.errors import DataError, ProbeError
from probe.requests import (
    EvaluateRequest,
    Option,
    Request,
    RequestError,
    command_of,
    from_document,
    takes,
    to_document,
)
from probe.requests.sources import read_numbers
from tests.cli import commands_page

HALVES = ("encoder", "decoder")


@dataclass(frozen=True)
class Inner:
    """Settings of their own."""

    rate: Annotated[float | None, Option(flag="--lr")] = None
    """How fast."""
    tie: Annotated[bool, Option(flag="--tie/--no-tie")] = False
    """Whether tied."""


@dataclass(frozen=True)
class ShoutRequest(Request):
    """Say words aloud."""

    words: Annotated[tuple[str, ...], Option(positional=True)] = ()
    """What is said."""
    _: KW_ONLY
    end: Literal["!", "?", "."] = "!"
    """What comes last."""
    gamma: Annotated[tuple[float, ...], Option(parse=read_numbers)] = (0.0, 1.0)
    """Numbers."""
    inner: Annotated[Mapping[str, Any] | None, Option(fields_of=Inner)] = None
    """Settings."""
    times: Annotated[int, Option(minimum=1)] = 1
    """How often."""


@takes(ShoutRequest)
def shout(asked: ShoutRequest) -> str:
    """Say words aloud.

    Raises:
        ValueError: never.
    """
    return " ".join(asked.words).upper() * asked.times + asked.end


def test_what_an_option_takes_is_said_in_words_of_a_terminal():
    for name, command in commands_page.commands().items():
        shown = command.get_help(typer.Context(command, info_name=name))
        assert not re.search(r"<(str|int|float|path|Any|list)\b| range>|list\[", shown), name
    shown = commands_page.commands()["probe wayward"]
    told = shown.get_help(typer.Context(shown, info_name="probe wayward"))
    assert "--init TEXT " in told and "--gamma FLOAT,... " in told and "--model MODEL " in told
    assert "--seeds INTEGER " in told and "--data-dir PATH " in told


def _typed(*words):
    """The request that a command line makes, or what it is answered."""
    made = []
    app = App()

    @app.command()
    @takes_requests
    def say(asked: ShoutRequest) -> None:
        """Say."""
        made.append(asked)

    answer = CliRunner().invoke(app, words)
    return made[0] if made else " ".join(answer.output.split())


def test_a_verb_takes_its_fields_or_its_request_and_one_value_for_several():
    assert shout("a") == shout(["a"]) == shout(ShoutRequest(("a",))) == shout(words="a") == "A!"
    assert shout(["a", "b"], times=2, end="?") == "A BA B?"
    assert list(inspect.signature(shout).parameters)[:2] == ["words", "end"]
    assert "times: How often." in shout.__doc__ and "ValueError: never." in shout.__doc__


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"end": "!!"}, "end must be one of !, \\?, \\., found '!!'"),
        ({"times": 0}, "times must be at least 1, found 0"),
        ({"times": None}, "times must be given"),
    ],
)
def test_a_request_is_checked_when_it_is_made(given, message):
    with pytest.raises(RequestError, match=message):
        ShoutRequest(**given)


def test_a_command_line_makes_the_request_and_the_request_the_command_line():
    typed = ("a", "--end", "?", "--gamma", "0.5,2", "--gamma", "3", "--lr", "0.1", "--no-tie")
    asked = _typed(*typed)
    assert asked == ShoutRequest(
        ("a",), end="?", gamma=(0.5, 2.0, 3.0), inner={"rate": 0.1, "tie": False}
    )
    written = command_of(asked, "shout")
    assert written[:3] == ("probe", "shout", "a")
    assert _typed(*written[2:]) == asked
    assert command_of(ShoutRequest(), "shout") == ("probe", "shout")


def _of_command(kind, words):
    """The request of a kind that words on a command line make."""
    made = []

    def say(asked):
        made.append(asked)

    say.__annotations__ = {"asked": kind, "return": None}
    app = App()
    app.command()(takes_requests(say))
    answer = CliRunner().invoke(app, words)
    assert made, answer.output
    return made[0]


@pytest.mark.parametrize(
    "asked",
    [
        requests.EvaluateRequest(("a", "b"), "mood", split="train", hard=("It: {text}",), seed=3),
        requests.PredictRequest("a", ("x", "-y"), label_word=(["good", "great"], "bad")),
        requests.GenerateRequest(file=Path("rows.csv"), max_new_tokens=3, dtype="bfloat16"),
        requests.TransferRequest(("a", "b"), ("mood", "sst2"), measure=("cka",), centre=True),
        requests.AblateRequest("a", "mood", data_dir=Path("data"), limit=7),
        requests.LensRequest("a", describe=True, term=("good", "bad"), k=2),
        requests.DecodeRequest("a", "builtin", filter=("words", "regex:^a"), controls=False),
        requests.ReadRequest("a", readings=("nearest,promoted",), text_to_score=("be kind",)),
        requests.FindRequest("#7", ("a",), metric="dot", k=3),
        requests.DistillRequest("- Be kind.", steps=2, contexts="lines.txt"),
        requests.CompareRequest(("a", "b"), "neuron_overlap", layers="0-2"),
        requests.ClustersRequest(("a",), "hdbscan", items="prompts"),
        requests.MapRequest(("a",), "umap", background=50),
        requests.ReportRequest(("a",), Path("page.html"), task="mood", metric="l2"),
        requests.ConvertRequest("a", Path("a.npy"), to="npy"),
        requests.AddToLibraryRequest(("a",), tag=("one", "two"), note="kept"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_every_request_is_read_again_from_its_command_line_and_its_document(asked):
    kind = type(asked)
    assert _of_command(kind, command_of(asked, "x")[2:]) == asked
    assert from_document(kind, json.loads(json.dumps(to_document(asked)))) == asked


def test_layers_are_a_number_or_a_range():
    assert requests.CompareRequest(("a", "b"), layers="3").layer_group == slice(3, 4)
    assert requests.CompareRequest(("a", "b"), layers=slice(1, 3)).layer_group == slice(1, 3)
    with pytest.raises(RequestError, match="one layer or FIRST-LAST, as 0-2, found 'all'"):
        requests.CompareRequest(("a", "b"), layers="all")


def test_a_pair_is_two_prompts_where_several_are_taken_and_refused_where_one_is():
    rows = np.random.default_rng(0).standard_normal((4, 320)).astype(np.float32)
    halves = [SoftPrompt(f"{half}", rows, "builtin", submodule=half) for half in HALVES]
    found = probe.compare([PromptPair(*halves)])
    assert found.prompts == HALVES
    with pytest.raises(ProbeError, match="found a pair: take its encoder or decoder"):
        probe.decode(PromptPair(*halves))


def test_wrong_usage_names_the_option():
    assert "'--gamma'" in _typed("--gamma", "x")
    assert "--times" in _typed("--times", "0")


def test_a_request_is_kept_as_a_document_and_read_again():
    asked = ShoutRequest(("a",), inner={"rate": 0.1})
    assert from_document(ShoutRequest, to_document(asked)) == asked
    with pytest.raises(DataError, match="found also 'loud'"):
        from_document(ShoutRequest, {"loud": 1})
    with pytest.raises(DataError, match="times: .*found 'often'"):
        from_document(ShoutRequest, {"times": "often"})
    with pytest.raises(RequestError, match="task must be a name or a place"):
        to_document(EvaluateRequest(task=object(), zero_shot=True))


def test_a_workspace_is_no_part_of_what_is_written_down(tmp_path):
    asked = ShoutRequest("a", workspace=tmp_path)
    assert "workspace" not in to_document(asked)
    assert command_of(asked, "shout") == ("probe", "shout", "a")


def test_the_tables_of_the_commands_and_the_schemas_are_fresh():
    text = commands_page.PAGE.read_text(encoding="utf-8")
    assert text == commands_page.page(text), "run python -m tests.cli.commands_page"
    kept = {path.name: path.read_text() for path in commands_page.SCHEMAS.glob("*.json")}
    assert kept == commands_page.schemas(), "run python -m tests.cli.commands_page"


def test_an_argument_that_is_no_field_is_refused_with_the_likely_one():
    with pytest.raises(
        TypeError, match=r"evaluate\(\) has no argument 'label_words'; did you mean"
    ):
        probe.evaluate("one", "mood", label_words=["a"])


def test_a_public_function_tells_its_arguments():
    assert "limit: At most so many examples" in probe.evaluate.__doc__


def test_every_usage_block_of_the_page_names_the_options_its_command_has():
    for name, named, options, abridged in commands_page.usages(commands_page.PAGE.read_text()):
        assert named <= set().union(*options), name
        assert abridged or all(option & named for option in options), name


def test_a_mistake_names_the_argument_as_the_usage_line_does(probe):
    refused = probe("evaluate", "--task", "mood")
    assert refused.code == 2 and "[PROMPT]..." in refused.err
    assert "'PROMPT': give one or more prompts, or --all, or a baseline" in refused.err
