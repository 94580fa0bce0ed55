"""What is registered is asked of its registry: no code elsewhere compares names of its entries."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe import requests
from probe.commands import COMMANDS, Command, in_cli
from probe.measures import MEASURES
from probe.requests.train_methods import METHODS

ROOT = Path(__file__).parent.parent
FAMILIES = {"causal", "encoder_decoder", "masked", "sentence_encoder"}
# Formats read and write the names that other tools give methods and models, `with_start` follows a
# rule of PEFT's, and tables know kinds of models by their files alone.
FOREIGN = ("probe/formats/", "probe/verbs/decoding.py", "probe/tables/", "probe/verbs/room.py")


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.verb], ids=lambda one: one.name)
def test_what_the_table_of_commands_names_is_there(command: Command) -> None:
    function = getattr(command.module, command.function)
    if request := getattr(function, "request", None):
        assert request is getattr(requests, command.request)
    printed = (command.made, command.shows, command.facts, (command.watched or ("", ""))[1])
    assert all(in_cli(place) for place in printed if place)
    assert bool(command.made) != bool(command.shows)


def _compared(tree: ast.AST) -> Iterator[str]:
    """Every text that something is compared with, or looked for in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for part in (node.left, *node.comparators):
                for leaf in ast.walk(part):
                    if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str):
                        yield leaf.value


@pytest.mark.parametrize(
    "names",
    [set(METHODS), FAMILIES, set(MEASURES.builtin)],
    ids=["methods", "model families", "measures"],
)
def test_no_code_compares_the_names_of_a_registry(names: set[str]) -> None:
    found = [
        f"{place}: {text}"
        for source in sorted([*(ROOT / "probe").rglob("*.py"), *(ROOT / "app").rglob("*.py")])
        if not (place := str(source.relative_to(ROOT))).startswith(FOREIGN)
        for text in _compared(ast.parse(source.read_text(encoding="utf-8")))
        if text in names
    ]
    assert not found
