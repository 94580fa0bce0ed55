"""The tasks that come with `probe`: what the generator wrote, and what was promised of them."""

import importlib.util
import json
import random
import tomllib
from pathlib import Path

import pytest

from probe.datasets import load_task, task_names

TASKS = Path(__file__).parents[2] / "sample_prompts" / "tasks"
CLASSIFICATION = ("mood", "number", "opinion", "tense")
NAMES = (*CLASSIFICATION, "shorten")
LITTLE_WORDS = {"be", "do", "have", "own", "pronoun"}  # English has no others


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate", TASKS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_they_are_known_by_name_after_the_papers():
    assert task_names()[5:] == tuple(sorted(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_the_seeded_generator_writes_the_shipped_bytes(name, generator):
    for split, rows in generator.generate(TASKS / name).items():
        written = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        assert (TASKS / name / f"{split}.jsonl").read_text(encoding="utf-8") == written


@pytest.mark.parametrize("name", NAMES)
def test_each_has_800_examples_or_more_and_no_text_twice(name):
    task = load_task(name)
    texts = [e.text for split in (task.train, task.validation, task.test) for e in split]
    assert len(texts) == len(set(texts)) >= 800
    assert min(len(task.train), len(task.validation), len(task.test)) >= 200
    assert task.licence == "Apache-2.0"


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_labels_are_equally_frequent(name):
    task = load_task(name)
    for split in (task.train, task.validation, task.test):
        assert [e.label for e in split].count(0) * len(task.label_words) == len(split)


@pytest.mark.parametrize("name", NAMES)
def test_training_and_test_share_no_template_and_no_content_word(name):
    grammars = tomllib.loads((TASKS / name / "grammar.toml").read_text(encoding="utf-8"))
    train, test = (_lists(grammars[split]) for split in ("train", "test"))
    assert train["templates"] and test["templates"]
    for slot in train.keys() & test.keys() - LITTLE_WORDS:
        assert not train[slot] & test[slot], slot


def _lists(grammar):
    """Every word list of a grammar, those of its labels together."""
    lists = {"templates": set(grammar.get("templates", []))}
    for part in (grammar.get("words", {}), *grammar.get("labels", {}).values()):
        for slot, words in part.items():
            lists.setdefault(slot, set()).update(words)
    return lists


def test_a_text_keeps_a_numbered_slot_and_never_repeats_a_word(generator):
    words = {"a": ["one", "two", "three"]}
    rng = random.Random(0)
    text, target = generator.fill("{a1} {a} {a} => {a1}", words, rng)
    assert sorted(text.lower().split()) == ["one", "three", "two"]
    assert text.split()[0] == target


def test_an_article_fits_its_word(generator):
    words = {"a": ["old"], "b": ["new"]}
    rng = random.Random(0)
    assert next(generator.fill("a {a} and a {b}", words, rng)) == "An old and a new"


def test_all_of_them_together_are_small():
    assert sum(path.stat().st_size for path in TASKS.rglob("*.*")) < 1_500_000


def test_a_shipped_task_keeps_its_rows_beside_a_folder_of_other_data(tmp_path: Path) -> None:
    assert load_task("mood", data_dir=tmp_path) == load_task("mood")
