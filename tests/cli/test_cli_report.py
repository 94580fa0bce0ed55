"""`probe report`: one file, never over another, that says what it could not answer."""

import pytest


@pytest.mark.slow
def test_a_report_says_what_it_wrote_and_what_it_left_out(probe, check_schema, tmp_path):
    result = probe(
        "report", "sst2-text", "subj-prefix", "-k", "4", "-o", tmp_path / "report.html", "--json"
    )
    assert (result.code, result.err) == (0, "")
    check_schema("report", result.json)
    assert result.json["prompts"] == ["sst2-text", "subj-prefix"]
    assert result.json["size_bytes"] == (tmp_path / "report.html").stat().st_size < 6_000_000
    (left,) = result.json["left"]
    assert (left["section"], left["prompt"]) == ("decoding", "subj-prefix")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "key/value prefix" in left["reason"] and left["reason"] in page
    assert "probe decode sst2-text -k 4" in page


def test_nothing_is_overwritten(probe, tmp_path):
    (tmp_path / "mine.html").write_text("mine")
    result = probe("report", "sst2-text", "-o", "mine.html")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert "mine.html is there already: choose another destination or remove it" in result.err
    assert (tmp_path / "mine.html").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("nobody", "-o", "x.html"), 1), (("sst2-text",), 2), (("-o", "x.html"), 2)],
)
def test_a_failure_leaves_no_file(arguments, code, probe, tmp_path):
    result = probe("report", *arguments)
    assert (result.code, result.out) == (code, "")
    assert not (tmp_path / "x.html").exists()
