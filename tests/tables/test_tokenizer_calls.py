"""A tokenizer that breaks, in whatever way and wherever it is called, is one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from probe.cli.main import run
from probe.errors import ModelNotFoundError, is_failure, is_panic
from probe.models.loading import load_model
from probe.tables import load_vocabulary
from probe.tables.codec import tokenizer_calls
from probe.tables.named import place_of

_TEXT = "a" * 40 + "!"
_ENDLESS = r"(a+)+$"


def _split(pattern: str) -> dict[str, object]:
    return {
        "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False
    }  # fmt: skip


def _replace(pattern: dict[str, str], content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": pattern, "content": content}


_FAILING = {
    "a pre-tokenizer that tries too long": {"pre_tokenizer": _split(_ENDLESS)},
    "a pre-tokenizer within others": {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [_split(r"(?:(a|aa)+)+c")]}
    },
    "a normalizer that tries too long": {"normalizer": _replace({"Regex": _ENDLESS}, "b")},
    "pieces without length": {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
    "a damaged table of characters": {
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    },
    "a table of characters that ends early": {
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAA="}
    },
    "a text that grows without end": {
        "normalizer": {
            "type": "Sequence", "normalizers": [_replace({"String": "a"}, "aa")] * 60
        }
    },
    "a text in which each letter is a book": {"normalizer": _replace({"Regex": "."}, "x" * 9999)},
    "a text behind a book": {"normalizer": {"type": "Prepend", "prepend": "x" * 10**6}},
}  # fmt: skip


@pytest.fixture
def hostile(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The builtin model with parts of its tokenizer replaced."""
    builtin = place_of("builtin")
    for file in builtin.iterdir():
        (tmp_path / file.name).symlink_to(file)
    document = json.loads((builtin / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.json").write_text(json.dumps(document | _FAILING[request.param]))
    return tmp_path


@pytest.mark.parametrize("hostile", _FAILING, indirect=True)
def test_a_failing_tokenizer_is_one_line(hostile: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelNotFoundError, match="its tokenizer") as refused:
        load_vocabulary(hostile).encode(_TEXT)
    assert str(hostile) in str(refused.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("hostile", ["a text that grows without end"], indirect=True)
def test_a_text_that_would_fill_the_memory_is_refused_before_a_model_is_read(hostile: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"makes a text 1\.15e\+18 times as long"):
        load_model(hostile)


@pytest.mark.parametrize("hostile", ["a damaged table of characters"], indirect=True)
def test_a_command_that_meets_one_prints_one_line(
    hostile: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        run(["decode", "sst2-text", "--model", str(hostile)])
    said = capfd.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    assert "its tokenizer fails (Precompiled" in said.err


@pytest.mark.parametrize("hostile", ["a pre-tokenizer that tries too long"], indirect=True)
def test_a_model_that_meets_one_on_the_way_says_so(
    hostile: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tokenizer = load_model(hostile).tokenizer
    assert tokenizer("fine")["input_ids"]
    for ask in (lambda: tokenizer(_TEXT), lambda: tokenizer(["fine", _TEXT])):
        with pytest.raises(ModelNotFoundError, match="its tokenizer fails"):
            ask()
    assert capfd.readouterr().err == ""


def test_what_is_written_behind_a_call_is_seen_again(capfd: pytest.CaptureFixture[str]) -> None:
    with tokenizer_calls("m"), tokenizer_calls("m"):
        os.write(2, b"lost")
    os.write(2, b"seen")
    assert capfd.readouterr().err == "seen"


def test_wishes_to_end_pass_and_panics_are_failures() -> None:
    panic = type("PanicException", (BaseException,), {})()
    assert is_panic(panic) and is_failure(panic) and is_failure(ValueError())
    assert not is_failure(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt), tokenizer_calls("m"):
        raise KeyboardInterrupt
    with pytest.raises(ModelNotFoundError, match="m: its tokenizer fails"), tokenizer_calls("m"):
        raise panic
