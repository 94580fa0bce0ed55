"""Write the shipped tasks' examples from their grammars: `python sample_prompts/tasks/generate.py`.

Each folder with a `grammar.toml` gets `train.jsonl`, `validation.jsonl` and `test.jsonl`, the same
bytes on every run. Train and validation share templates and words; test has its own.

A template's `{slot}` takes a word of the slot's list, and never the same word twice in one example;
`{slot1}` does so too, and shows the same word wherever it returns, in a target text as well.
"""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SEED = 2021
SIZES = {"train": 800, "validation": 200, "test": 400}
ATTEMPTS = 1000
"""Draws per example before a grammar counts as too small."""

Grammar = dict[str, Any]
Example = dict[str, str | int]


def fill(template: str, words: dict[str, list[str]], rng: random.Random) -> Iterator[str]:
    """The parts of a template (a text, and perhaps ` => ` and a target) with their slots filled."""
    chosen: dict[str, str] = {}
    left: dict[str, list[str]] = {}

    def word(match: re.Match[str]) -> str:
        slot = match[1]
        if slot not in chosen or not slot[-1].isdigit():
            name = slot.rstrip("0123456789")
            pool = left.setdefault(name, rng.sample(words[name], len(words[name])))
            chosen[slot] = pool.pop()
        return chosen[slot]

    for part in template.split(" => "):
        text = re.sub(r"\{(\w+)\}", word, part)
        text = re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)
        yield text[0].upper() + text[1:]


def draw(grammar: Grammar, size: int, rng: random.Random, taken: set[str]) -> list[Example]:
    """`size` examples with texts that were not taken before, as many of each label."""
    labels = list(grammar.get("labels", {}).values()) or [{}]
    rows = [draw_one(grammar, n % len(labels), labels, rng, taken) for n in range(size)]
    rng.shuffle(rows)
    return rows


def draw_one(
    grammar: Grammar, number: int, labels: list[Grammar], rng: random.Random, taken: set[str]
) -> Example:
    """One example of a label (of none, for a generation task) with a new text."""
    label = labels[number]
    words = {**grammar.get("words", {}), **label}
    for _ in range(ATTEMPTS):
        template = rng.choice(grammar.get("templates", []) + label.get("templates", []))
        text, *target = fill(template, words, rng)
        if text not in taken:
            taken.add(text)
            return (
                {"text": text, "target": target[0]} if target else {"text": text, "label": number}
            )
    raise ValueError(f"label {number} has too few different texts: add words or templates")


def generate(folder: Path) -> dict[str, list[Example]]:
    """Every split of the task in `folder`, from its grammar."""
    grammars = tomllib.loads((folder / "grammar.toml").read_text(encoding="utf-8"))
    rng = random.Random(f"{SEED} {folder.name}")
    taken: set[str] = set()
    return {
        split: draw(grammars["test" if split == "test" else "train"], size, rng, taken)
        for split, size in SIZES.items()
    }


def main() -> None:
    """Write the files of every task beside this script."""
    for grammar in sorted(HERE.glob("*/grammar.toml")):
        for split, rows in generate(grammar.parent).items():
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (grammar.parent / f"{split}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
