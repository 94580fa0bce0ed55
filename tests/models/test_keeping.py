"""A process that answers many questions loads a model once."""

import os

import pytest

from probe.models import keep_models, load_model
from tests.tiny import save_gpt2


@pytest.fixture(autouse=True)
def one_kept():
    keep_models(1)
    yield
    keep_models(0)


@pytest.fixture
def folder(tmp_path):
    save_gpt2(tmp_path / "model")
    return tmp_path / "model"


def test_the_same_model_is_given_again(folder):
    assert load_model(folder) is load_model(folder)


def test_another_precision_is_another_model(folder):
    assert load_model(folder) is not load_model(folder, dtype="bfloat16")


def test_only_so_many_are_kept(folder):
    first = load_model(folder)
    load_model(folder, dtype="bfloat16")
    assert load_model(folder) is not first


def test_a_model_whose_files_changed_is_read_anew(folder):
    first = load_model(folder)
    (folder / "README.md").write_text("changed")
    assert (second := load_model(folder)) is not first
    (folder / "1_Pooling").mkdir()
    assert (third := load_model(folder)) is not second
    (folder / "1_Pooling" / "config.json").write_text("{}")
    assert load_model(folder) is not third


def test_a_file_in_whose_place_an_older_one_came_is_a_change_too(folder):
    first = load_model(folder)
    config = folder / "generation_config.json"
    os.utime(config, (1, 1))
    assert (second := load_model(folder)) is not first
    config.unlink()
    assert load_model(folder) is not second


def test_a_link_that_leads_nowhere_hinders_nobody(folder):
    (folder / "old").symlink_to("nowhere")
    assert load_model(folder) is load_model(folder)


def test_nothing_is_kept_unless_it_was_asked_for(folder):
    keep_models(0)
    assert load_model(folder) is not load_model(folder)
