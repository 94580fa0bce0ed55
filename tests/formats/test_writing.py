"""Writing: every field comes back, nothing is overwritten, nothing half-written is left."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from probe.errors import PromptFormatError
from probe.formats import load, save
from probe.prompt import KVPrefix, SoftPrompt


@pytest.fixture
def prompt(rng: np.random.Generator) -> SoftPrompt:
    return SoftPrompt(
        "sst2-mine",
        rng.normal(size=(3, 4)),
        base_model="gpt2",
        revision="abc",
        task="sst2",
        method="p_tuning",
        submodule="encoder",
        trained=False,
        init_token_ids=(5, 6, 7),
        metrics={"accuracy": 0.9},
        config={"steps": 100, "nested": {"a": [1, None]}},
    )


@pytest.fixture
def prefix(rng: np.random.Generator) -> KVPrefix:
    keys, values = rng.normal(size=(2, 2, 3, 2, 4))
    return KVPrefix("mine", keys, values, base_model="gpt2", task="sst2", config={"a": 1})


def test_safetensors_keep_every_field_of_a_soft_prompt(tmp_path: Path, prompt: SoftPrompt) -> None:
    (again,) = load(save(prompt, tmp_path / "p.safetensors", to="safetensors"))
    assert isinstance(again, SoftPrompt)
    np.testing.assert_array_equal(again.embeddings, prompt.embeddings)
    different = {"embeddings", "provenance"}
    for field in vars(prompt).keys() - different:
        assert getattr(again, field) == getattr(prompt, field), field
    assert again.provenance.format == "safetensors"


def test_safetensors_keep_every_field_of_a_prefix(tmp_path: Path, prefix: KVPrefix) -> None:
    (again,) = load(save(prefix, tmp_path / "p.safetensors", to="safetensors"))
    assert isinstance(again, KVPrefix)
    np.testing.assert_array_equal(again.keys, prefix.keys)
    np.testing.assert_array_equal(again.values, prefix.values)
    for field in vars(prefix).keys() - {"keys", "values", "provenance"}:
        assert getattr(again, field) == getattr(prefix, field), field


def test_numbers_of_numpy_stay_numbers(tmp_path: Path) -> None:
    prompt = SoftPrompt("a", np.ones((1, 2)), metrics={"loss": np.float32(0.5)})
    (again,) = load(save(prompt, tmp_path / "p.safetensors", to="safetensors"))
    assert again.metrics == {"loss": 0.5}


@pytest.mark.parametrize("to", ["safetensors", "peft", "koboldai"])
def test_texts_that_no_reader_takes_are_written_as_question_marks(to: str, tmp_path: Path) -> None:
    half = "n\udcff"
    prompt = SoftPrompt(
        half, np.ones((1, 2)), base_model=half, metrics={half: 1}, config={"a": [half]}
    )
    (again,) = load(save(prompt, tmp_path / "p", to=to))
    assert (again.name, again.base_model or "n?") == ("n?", "n?")
    if to != "koboldai":  # it keeps neither
        assert (dict(again.metrics), again.config["a"]) == ({"n?": 1}, ["n?"])


@pytest.mark.parametrize("file", [b"n\xff.npy", b"n\xff/prompt.npy"])
def test_a_prompt_of_a_file_whose_name_is_not_utf8_comes_back(file: bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(file)
    try:
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.ones((1, 2), np.float32))
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    (prompt,) = load(path)
    assert prompt.name == "n\ufffd"
    (again,) = load(save(prompt, tmp_path / "out.safetensors", to="safetensors"))
    assert again.name == prompt.name


@pytest.mark.parametrize("to", ["peft", "npy", "safetensors", "koboldai"])
def test_what_is_there_is_not_overwritten(to: str, tmp_path: Path, prompt: SoftPrompt) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(PromptFormatError, match="taken is there already: choose another"):
        save(prompt, taken, to=to)
    assert taken.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [taken]


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("to", ["peft", "npy", "safetensors", "koboldai"])
def test_what_comes_there_while_a_prompt_is_written_is_not_overwritten(
    to: str, links: bool, tmp_path: Path, prompt: SoftPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, sync = tmp_path / "taken", os.fsync

    def meanwhile(handle: int) -> None:
        if not taken.exists():
            taken.write_text("another's")
        sync(handle)

    monkeypatch.setattr(os, "fsync", meanwhile)
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    with pytest.raises(PromptFormatError, match="taken is there already: choose another"):
        save(prompt, taken, to=to)
    assert taken.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [taken]


def _no_links(source: Path, place: Path) -> None:
    raise OSError(errno.EPERM, "as exFAT has it")


@pytest.mark.parametrize("to", ["npy", "safetensors"])
def test_a_prompt_is_written_where_the_file_system_has_no_links(
    to: str, tmp_path: Path, prompt: SoftPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _no_links)
    dest = save(prompt, tmp_path / "here", to=to)
    np.testing.assert_array_equal(load(dest)[0].embeddings, prompt.embeddings)
    assert list(tmp_path.iterdir()) == [dest]


@pytest.mark.parametrize("to", ["peft", "npy", "safetensors", "koboldai"])
def test_only_the_destination_is_left_behind(to: str, tmp_path: Path, prompt: SoftPrompt) -> None:
    dest = save(prompt, str(tmp_path / "new" / "here"), to=to)
    assert dest == tmp_path / "new" / "here"
    assert list(dest.parent.iterdir()) == [dest]
    np.testing.assert_array_equal(load(dest)[0].embeddings, prompt.embeddings)


@pytest.mark.parametrize("to", ["npy", "koboldai"])
def test_a_prefix_is_refused_where_it_cannot_be_kept(
    to: str, tmp_path: Path, prefix: KVPrefix
) -> None:
    with pytest.raises(PromptFormatError, match=f"which {to} cannot hold: .* peft or safetensors"):
        save(prefix, tmp_path / "p", to=to)
    assert not list(tmp_path.iterdir())


def test_an_unknown_layout_is_refused(tmp_path: Path, prompt: SoftPrompt) -> None:
    with pytest.raises(PromptFormatError, match="expected one of peft, npy, .* found 'gguf'"):
        save(prompt, tmp_path / "p", to="gguf")


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, prompt: SoftPrompt) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PromptFormatError, match=r"cannot be written \(File exists\)"):
        save(prompt, tmp_path / "file" / "p.npy", to="npy")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("[]", "card is not a JSON object"),
        ('{"name": 3}', "must hold a str as name, found int"),
        ('{"metrics": []}', "must hold a dict as metrics, found list"),
        ('{"init_token_ids": ["a"]}', "init_token_ids of the card must be integers"),
        ('{"init_token_ids": [1]}', "one id ≥ 0 for each of 2 rows"),
        ('{"method": "magic"}', "method must be one of"),
        ("{", "p.safetensors"),
    ],
)
def test_a_card_that_was_tampered_with_is_refused(card: str, message: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    rows = {"embeddings": np.ones((2, 3), np.float32)}
    save_file(rows, tmp_path / "p.safetensors", metadata={"probe": card})
    with pytest.raises(PromptFormatError, match=message):
        load(tmp_path / "p.safetensors")
