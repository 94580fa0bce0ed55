from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared.sidebar import OWN
from probe.analysis.compare import shared_tokens
from probe.verbs.decoding import decode
from probe.verbs.reading import read
from tests.app.conftest import strips_of

Open = Callable[..., AppTest]
STORY = "smollm2-distilled-french"


@pytest.mark.slow
def test_a_newcomer_sees_one_prompt_read_in_two_ways_and_at_work(open_page: Open) -> None:
    at = open_page("start", state={"model": "builtin"})  # left over from another page
    assert at.title[0].value == "Start"
    by_position, by_change = strips_of(at)
    nearest = [position.neighbours[0].token.strip("␣") for position in decode(STORY).positions]
    assert [text for text, *_ in by_position] == nearest
    told = next(one for one in read(STORY).readings if one.name == "displacement")
    assert "French" in [text for text, *_ in by_change]
    assert by_change[0][1] == f"rank 1: {told.tokens[0].token} {told.tokens[0].score:.3f}"
    assert any(told.hit_rate.sentence.split(" known")[0] in one.value for one in at.caption)
    own, alone = (one.value for one in at.code)
    assert own != alone
    next(one for one in at.button if one.label == "Open in Decode").click().run()
    assert at.title[0].value == "Decode"
    assert at.session_state["p"] == [STORY] and at.session_state["model"] == OWN


@pytest.mark.slow
def test_the_detail_of_a_prompt_holds_its_tokens_as_text(open_page: Open) -> None:
    names = ("sst2-text", "mood-text")
    at = open_page("compare", p=names, a=names[0], b=names[1])
    assert list(map(len, strips_of(at))) == [len(decode(name).positions) for name in names]
    common = [one.token for one in shared_tokens(*map(decode, names)).shared]
    shaded = {text for strip in strips_of(at) for text, _, css in strip if "178,0.50)" in css}
    assert shaded and shaded <= {token.strip() for token in common}
