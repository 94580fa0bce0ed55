"""Tokens and names that attack whatever shows them, in what each command prints and writes."""

from __future__ import annotations

import csv
import json
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest

from probe.formats import save
from probe.prompt import SoftPrompt
from probe.store import Workspace
from tests.hostile import HOSTILE, prompt_rows, write_hostile_model

NAME = "=cmd <script>x</script> \x1b[31m \u202e **b** | $x$"
_COMMANDS = (
    ("decode", "{a}"),
    ("decode", "{a}", "--metric", "l2", "--k", "20"),
    ("find", "#15"),
    ("inspect", "{file}"),
    ("library",),
    ("library", "log", "{a}"),
    ("compare", "{a}", "{b}", "--measure", "jaccard"),
    ("map", "{a}"),
    ("clusters", "{a}"),
)


@pytest.fixture
def names(home: Path, tmp_path: Path) -> dict[str, str]:
    """Two prompts on a hostile model, named and labelled as badly."""
    model = str(write_hostile_model(tmp_path / "=model <b>"))
    workspace = Workspace(home)
    kept = [
        workspace.save(SoftPrompt(NAME, prompt_rows() * n, base_model=model, task=NAME)).id
        for n in (1, 2)
    ]
    file = tmp_path / f"{NAME.replace('/', ' ')}.safetensors"
    save(
        SoftPrompt(NAME, prompt_rows(), base_model=model, config={NAME: NAME}),
        file,
        to="safetensors",
    )
    return {"a": kept[0], "b": kept[1], "file": str(file)}


def _unseen(text: str) -> set[str]:
    """Characters that a terminal obeys, or that turn the order of letters."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs")} - {"\n"}


@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
def test_no_token_writes_to_the_terminal(command, names, probe):
    arguments = [part.format(**names) for part in command]
    for more in ((), ("--json",)):
        result = probe(*arguments, *more)
        assert result.code == 0, result.err
        assert _unseen(result.out + result.err) == set()
    assert json.loads(result.out)


def test_no_cell_of_a_csv_is_a_formula_and_json_stays_exact(names, probe, tmp_path):
    result = probe("decode", names["a"], "--csv", tmp_path / "d.csv", "--k", 3, "--json")
    assert result.code == 0, result.err
    text = (tmp_path / "d.csv").read_text(encoding="utf-8")
    cells = [cell for row in csv.reader(text.splitlines(keepends=True)) for cell in row]
    assert [c for c in cells if c[:1] in "=+@\t\r" and c] == []
    assert "'=cmd|'␣/C␣calc'!A0" in cells
    first = [one["neighbours"][0]["token"] for one in result.json["positions"]]
    assert first[HOSTILE.index("@SUM(1+1)")] == "@SUM(1+1)"


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.mark.parametrize(
    ("command", "scripts"),
    [
        (("decode", "{a}", "--html", "{to}"), 0),
        (("map", "{a}", "--html", "{to}"), None),
        (("report", "{a}", "{b}", "-o", "{to}"), None),
    ],
)
def test_no_page_runs_a_token(command, scripts, names, probe, tmp_path):
    to = tmp_path / "page.html"
    result = probe(*(part.format(to=to, **names) for part in command))
    assert result.code == 0, result.err
    text = to.read_text(encoding="utf-8")
    page = _Page(text)
    assert page.handlers == [] and "img" not in page.tags
    assert scripts is None or page.tags.count("script") == scripts
    for attack in (
        "<script>window.attacked",
        "<img src=x",
        "</script><!--",
        "<script>x",
        "\x1b",
        "\u202e",
    ):
        assert attack not in text
