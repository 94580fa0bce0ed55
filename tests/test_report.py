from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from probe.analysis.decoding import Decoding, decode
from probe.charts import visible
from probe.prompt import SoftPrompt
from probe.report import decoding_html, headline
from probe.tables import load_vocabulary
from probe.vocabulary import Vocabulary
from tests.hostile import HOSTILE, WIDTH, prompt_rows, write_hostile_model


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return load_vocabulary(write_hostile_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def decoding(vocabulary: Vocabulary) -> Decoding:
    prompt = SoftPrompt("<script>window.attacked=1</script>", prompt_rows())
    return decode(prompt, vocabulary, metric="l2", k=3, seed=11)


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        self.text += " " if tag in {"dt", "dd", "td", "p"} else ""

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_prints_what_it_was_made_with(decoding: Decoding) -> None:
    text = " ".join(_Page(decoding_html(decoding)).text.split())
    for shown in (
        "metric L2 distance, lower is closer",
        "neighbours, k 3",
        "seed 11",
        f"sample size {decoding.sample_size:,}",
        f"base model {decoding.model}",
    ):
        assert shown in text


def test_every_token_and_the_prompt_s_name_are_shown_as_text(decoding: Decoding) -> None:
    page = _Page(decoding_html(decoding))
    for token in (*(p.neighbours[0].token for p in decoding.positions), decoding.prompt):
        assert visible(token) in page.text


@pytest.mark.parametrize("token", [t for t in HOSTILE if t.isprintable()])
def test_hostile_tokens_are_readable(decoding: Decoding, token: str) -> None:
    assert token.replace(" ", "␣") in _Page(decoding_html(decoding)).text


def test_the_report_runs_nothing_and_fetches_nothing(decoding: Decoding) -> None:
    page = _Page(decoding_html(decoding))
    assert not {"script", "img", "link", "iframe", "a", "object", "b"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "src"]
    assert any("default-src 'none'" in (value or "") for _, value in page.attributes)
    assert not re.search(r"https?://", decoding_html(decoding))


def test_a_report_without_controls_says_so(vocabulary: Vocabulary) -> None:
    bare = decode(SoftPrompt("bare", prompt_rows()), vocabulary, controls=False)
    text = _Page(decoding_html(bare)).text
    assert "Without controls, nobody can say whether these tokens mean anything." in text
    assert "no controls" in text


def test_noise_is_called_noise() -> None:
    builtin = load_vocabulary("builtin")
    prompt = SoftPrompt("noise", np.random.default_rng(0).standard_normal((20, builtin.width)))
    assert headline(decode(prompt, builtin))[0] == (
        "None of the 20 positions is closer to a token than chance rows are."
    )


def test_real_tokens_are_closer_than_chance() -> None:
    builtin = load_vocabulary("builtin")
    rows = builtin.rows(slice(1000, 1005))
    prompt = SoftPrompt("tokens", rows, init_token_ids=tuple(range(1000, 1005)))
    lines = headline(decode(prompt, builtin))
    assert lines[0] == "All 5 positions are closer to a token than chance rows are."
    assert lines[-1] == "5 of 5 never left the token training began from."


def test_a_mixed_prompt_is_counted() -> None:
    builtin = load_vocabulary("builtin")
    noise = np.random.default_rng(0).standard_normal((1, builtin.width))
    mixed = SoftPrompt("mixed", np.concatenate([noise, builtin.rows(slice(1000, 1002))]))
    first = headline(decode(mixed, builtin))[0]
    assert first == "1 of 3 positions is no closer to a token than chance rows are."


def test_a_prompt_of_one_position_is_spoken_of_in_the_singular(vocabulary: Vocabulary) -> None:
    one = SoftPrompt("one", np.random.default_rng(3).standard_normal((1, WIDTH)))
    assert headline(decode(one, vocabulary))[0].startswith("The only position is")


def test_reports_are_small_and_repeatable(decoding: Decoding, tmp_path: Path) -> None:
    text = decoding_html(decoding)
    assert text == decoding_html(decoding)
    assert len(text.encode()) < 50_000
