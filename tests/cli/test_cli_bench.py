"""`probe bench readings`: its document, its table, its plan."""

import json

import pytest

from tests.studies.test_known import CONTEXTS, TEXTS
from tests.tiny import save_causal


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "texts.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in TEXTS))
    (tmp_path / "contexts.txt").write_text("\n".join(CONTEXTS))
    model = save_causal(tmp_path / "tiny")
    return [
        "bench", "readings", "--model", model, "--texts", "texts.jsonl", "--limit", "3",
        "--contexts", "contexts.txt", "--seeds", "1", "--steps", "3", "--length", "2",
        "--readings", "nearest,displacement", "--device", "cpu",
    ]  # fmt: skip


def test_the_table_says_how_often_each_reading_was_right(asked, probe, check_schema, tmp_path):
    shown = probe(*asked, "--table", "rates.csv")
    assert shown.code == 0, shown.err
    assert "of 3 known texts first on" in shown.flat and "length_2+steps_3" in shown.flat
    assert "3 of 3 runs" in shown.err and "6 of 6 readings" in shown.err
    assert (tmp_path / "rates.csv").read_text().startswith("condition,reading,scorer,")
    document = probe(*asked, "--json").json
    check_schema("bench_readings", document)
    assert document["texts"] == 3 and len(document["prompts"]) == 3
    plan = probe(*asked, "--dry-run", "--json").json
    assert (plan["runs"], plan["found"]) == (3, 3)


def test_an_unknown_reading_is_wrong_usage(asked, probe):
    shown = probe(*asked[:-2], "--readings", "lense")
    assert shown.code == 2 and "found 'lense'" in shown.err
