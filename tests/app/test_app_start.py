from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from probe.verbs import decode, read
from tests.app.conftest import strips_of

Open = Callable[..., AppTest]
STORY = "smollm2-distilled-french"


@pytest.mark.slow
def test_a_newcomer_sees_one_prompt_read_in_two_ways_and_at_work(open_page: Open) -> None:
    at = open_page("start")
    assert at.title[0].value == "Start"
    by_position, by_change = strips_of(at)
    for position in decode(STORY).positions[:3]:
        assert f"{position.neighbours[0].token.strip('␣')}</span>" in by_position
    told = next(one for one in read(STORY).readings if one.name == "displacement")
    assert ">French</span>" in by_change
    assert f"rank 1: {told.tokens[0].token} {told.tokens[0].score:.3f}" in by_change
    assert any(told.hit_rate.sentence.split(" known")[0] in one.value for one in at.caption)
    own, alone = (one.value for one in at.code)
    assert own != alone
    next(one for one in at.button if one.label == "Open in Decode").click().run()
    assert at.title[0].value == "Decode"
    assert at.session_state["p"] == [STORY]


@pytest.mark.slow
def test_the_detail_of_a_prompt_holds_its_tokens_as_text(open_page: Open) -> None:
    at = open_page("compare", p=["sst2-text", "mood-text"], a="sst2-text", b="mood-text")
    assert [one.count("<span") for one in strips_of(at)] == [
        len(decode(name).positions) for name in ("sst2-text", "mood-text")
    ]
