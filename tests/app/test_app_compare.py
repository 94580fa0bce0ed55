from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.compare.pair import SHARED
from dashboard.shared.side_jobs import answer_path
from probe.analysis.transfer import Transfer, TransferCell, TransferTask
from probe.prompt import SoftPrompt
from probe.store import Workspace
from probe.verbs.comparing import compare
from tests.hostile import HOSTILE, WIDTH, prompt_rows, write_hostile_model
from tests.store.test_store_history import RECORD

Open = Callable[..., AppTest]


@pytest.fixture
def three(workspace: Workspace, tmp_path: Path) -> list[str]:
    """Two alike prompts of one task and one of another; the last is shorter."""
    model = str(write_hostile_model(tmp_path / "model"))
    rows = prompt_rows()
    rng = np.random.default_rng(1)
    for name, values, task in (
        ("one", rows, "greeting"),
        ("two", rows + 0.01 * rng.standard_normal(rows.shape), "greeting"),
        ("far", rng.standard_normal((5, WIDTH)), "parting"),
    ):
        workspace.save(SoftPrompt(name, values, base_model=model, task=task))
    return ["one@1", "two@1", "far@1"]


def _spec(at: AppTest, number: int) -> dict[str, object]:
    return json.loads(at.get("plotly_chart")[number].proto.spec)


def test_the_nearest_pair_comes_first_with_what_it_is_worth(
    open_page: Open, three: list[str]
) -> None:
    at = open_page("compare", p=three)
    value = compare(three).nearest[0][2]
    assert at.subheader[0].value == f"one@1 and two@1 are the closest of 3 pairs: {value:.3g}."
    assert (
        "is closer than a pair for two in **100 %** of cases (1 pair against 2"
        in at.markdown[0].value
    )


def test_the_matrix_is_the_comparison_and_centring_changes_it(
    open_page: Open, three: list[str]
) -> None:
    at = open_page("compare", p=three)
    before = _spec(at, 0)
    pairs = at.dataframe[0].value
    assert list(pairs["value"]) == [value for *_, value in compare(three).nearest]
    at.toggle(key="centre").set_value(True).run()
    assert _spec(at, 0) != before
    expected = [value for *_, value in compare(three, centre=True).nearest]
    np.testing.assert_allclose(at.dataframe[0].value["value"], expected)


def test_a_measure_that_is_not_defined_says_why_and_the_page_goes_on(
    open_page: Open, three: list[str]
) -> None:
    at = open_page("compare", p=three, measure="flattened_cosine")
    assert len(at.warning) == 1
    assert "needs prompts of one length" in at.warning[0].value.replace("\\", "")
    assert any(s.value == "Two of them, side by side" for s in at.subheader)
    refused = next(c.value for c in at.caption if c.value.startswith("Not for these prompts"))
    assert "CKA" in refused
    at.selectbox(key="measure").set_value("chamfer").run()
    assert not at.warning
    assert at.get("plotly_chart")


def test_shared_tokens_are_marked_on_both_sides(open_page: Open, three: list[str]) -> None:
    at = open_page("compare", p=three, k="2", a="one@1", b="two@1")
    left, right = at.dataframe[1].value, at.dataframe[2].value
    assert all(token.startswith(SHARED) for token in left["nearest token"])
    assert list(left["nearest token"]) == list(right["nearest token"])
    assert any("**share" in m.value or "share **" in m.value for m in at.markdown)


def test_the_pair_can_be_seen_jointly_and_by_position(open_page: Open, three: list[str]) -> None:
    at = open_page("compare", p=three, pair="joint", a="one@1", b="two@1")
    shown = {token.strip() for token in at.dataframe[1].value["token"]}
    assert HOSTILE[3] in shown
    at.segmented_control(key="pair").set_value("positions").run()
    assert any("Equal positions have a mean cosine of **1.000**" in m.value for m in at.markdown)


def test_the_bars_leave_the_matrix_untouched_when_another_pair_is_chosen(
    open_page: Open, three: list[str]
) -> None:
    at = open_page("compare", p=three)
    before = at.get("plotly_chart")[0].proto.spec
    at.selectbox(key="a").set_value("far@1").run()
    assert at.get("plotly_chart")[0].proto.spec == before
    at.selectbox(key="b").set_value("far@1").run()
    assert "two different prompts" in at.info[0].value


def test_a_single_prompt_gets_company_and_two_need_no_matrix(
    open_page: Open, three: list[str]
) -> None:
    at = open_page("compare", p="one@1")
    assert any("so 2 other prompts stand beside it" in c.value for c in at.caption)
    assert at.subheader[0].value.replace("\\", "").startswith("one@1 is closest to two@1: ")
    at.multiselect(key="p").set_value(three[:2]).run()
    assert at.subheader[0].value.startswith("one@1 and two@1: ")
    assert "Beside 1 other prompt of the library that is rank 1 of 3 pairs" in at.markdown[0].value
    assert not at.exception


def test_a_prompt_alone_in_its_table_asks_for_another(
    open_page: Open, workspace: Workspace, tmp_path: Path
) -> None:
    model = str(write_hostile_model(tmp_path / "other"))
    workspace.save(SoftPrompt("lone", prompt_rows(), base_model=model))
    at = open_page("compare", p="lone@1")
    assert "needs two prompts of one base model" in at.info[0].value


@pytest.mark.slow
def test_two_hundred_prompts_are_compared(open_page: Open, workspace: Workspace, tmp_path: Path):
    model = str(write_hostile_model(tmp_path / "model"))
    rows = np.random.default_rng(2).standard_normal((200, 3, WIDTH))
    ids = [workspace.save(SoftPrompt(f"n{i}", r, base_model=model)).id for i, r in enumerate(rows)]
    at = open_page("compare", p=ids)
    assert "of 19,900 pairs" in at.subheader[0].value
    assert _spec(at, 0)["data"][2]["type"] == "scattergl"
    assert not at.error


def test_transfer_is_offered_and_a_kept_answer_is_shown(
    open_page: Open, three: list[str], workspace: Workspace
) -> None:
    at = open_page("compare", p=three)
    at.multiselect(key="tasks").set_value(["mood"]).run()
    assert any(b.label == "Score 3 prompts on mood" for b in at.button)
    words = ("transfer", "--task", "mood", "--limit", "50", "--json", "--", *three)
    cards = [workspace.card(name) for name in three]
    path = answer_path(
        words, tuple((c.id, c.created, c.sha256) for c in cards), cards[0].base_model
    )
    cells = tuple(TransferCell(n, "mood", 0.5, (0.4, 0.6), 0.1, (0.01, 0.2)) for n in three)
    kept = Transfer(tuple(three), (None,) * 3, (TransferTask("mood", "accuracy", 50),), cells)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept.to_json()))
    at.run()
    assert any("**3 of 3** scores are clearly above" in m.value for m in at.markdown)
    assert not at.exception


def test_scores_on_record_stand_below_each_other_only_where_they_are_alike(
    open_page: Open, three: list[str], workspace: Workspace
) -> None:
    for name, changed in (("one", {}), ("two", {}), ("two", {"split": "validation"})):
        workspace.record(name, dataclasses.replace(RECORD, **changed))
    at = open_page("compare", p=three)
    table = next(one.value for one in at.dataframe if "prompt" in one.value)
    test, validation = (f"sst2: accuracy, {split}, n = 10" for split in ("test", "validation"))
    assert list(table.columns) == ["prompt", test, validation]
    assert list(table["prompt"]) == ["one@1", "two@1"] and table[validation].isna()[0]


def test_hostile_tokens_reach_the_page_as_text(open_page: Open, three: list[str]) -> None:
    at = open_page("compare", p=three, pair="positions")
    for chart in at.get("plotly_chart"):
        assert "<script" not in chart.proto.spec


def test_pairs_name_their_shared_starts_and_the_switch_takes_them_out(open_page: Open) -> None:
    short = ("sst2-vocab", "agnews-vocab", "sst2-text", "agnews-text", "sst2-ptuning")
    names = [f"minilm-{name}" for name in short]
    at = open_page("compare", p=names, a=names[0], b=names[1], pair="positions")
    starts = dict(zip(at.dataframe[0].value["first"] + "/" + at.dataframe[0].value["second"],
                      at.dataframe[0].value["starts"], strict=True))  # fmt: skip
    assert starts["minilm-sst2-vocab/minilm-agnews-vocab"] == "20 of 20"
    assert starts["minilm-agnews-vocab/minilm-agnews-text"] == "0 of 20"
    assert starts["minilm-sst2-vocab/minilm-sst2-ptuning"] == "–"
    assert "among pairs without a shared start" in at.markdown[0].value
    words = " ".join(one.value for one in at.markdown)
    assert "20 of 20 positions began from the same token." in words
    assert "a diagonal there may come from the start" in words
    at.segmented_control(key="of").set_value("displacement").run()
    assert not at.exception
    assert "of changes since the start" in at.markdown[0].value
    assert any("sst2\\-ptuning, which does not record" in c.value for c in at.caption)
    assert len(at.dataframe[0].value) == 6  # pairs of the four whose start is known


def test_without_two_known_starts_positions_are_compared_and_it_is_said(
    open_page: Open, three: list[str]
) -> None:
    at = open_page("compare", p=three, of="displacement")
    assert "Fewer than two of these files say" in at.warning[0].value
    assert at.get("plotly_chart")
