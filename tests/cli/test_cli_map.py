"""`probe clusters` and `probe map`: documents, tables, the page, refusals."""

import json
import re

import pytest

import probe as package

TWO = ("sst2-text", "agnews-vocab")


@pytest.mark.parametrize(
    "options",
    [(), ("--method", "hdbscan"), ("--method", "agglomerative", "--count", "3", "--metric", "l2")],
)
def test_clusters_are_printed_as_the_schema_says(options, probe, check_schema):
    result = probe("clusters", *TWO, *options, "--json")
    assert (result.code, result.err) == (0, "")
    check_schema("clusters", result.json)
    assert len(result.json["labels"]) == 40
    shown = probe("clusters", *TWO, *options).flat
    assert "40 rows of 2 prompts on builtin" in shown and "random tokens" in shown


def test_whole_prompts_are_clustered_on_request(probe, check_schema):
    names = ("sst2-text", "opinion-vocab", "trec-text", "agnews-vocab")
    document = probe("clusters", *names, "--items", "prompts", "--count", "2", "--json").json
    check_schema("clusters", document)
    assert [label["position"] for label in document["labels"]] == [None] * 4
    assert document == json.loads(
        json.dumps(package.clusters(names, items="prompts", count=2).to_json())
    )


def test_the_map_is_printed_as_the_schema_says(probe, check_schema):
    result = probe("map", *TWO, "--json")
    assert (result.code, result.err) == (0, "")
    check_schema("map", result.json)
    assert len(result.json["points"]) == 40 and result.json["background"] == 16384
    assert result.json == json.loads(json.dumps(package.map(TWO).to_json()))


def test_tsne_of_a_drawn_background_is_kept_in_the_workspace(
    probe, check_schema, tmp_path, monkeypatch
):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "own"))
    options = ("--method", "tsne", "--background", "150", "--perplexity", "5", "--seed", "2")
    document = probe("map", "sst2-text", *options, "--json").json
    check_schema("map", document)
    assert document["explained_variance"] is None and document["background"] == 150
    assert len(list((tmp_path / "own" / "cache").glob("*.npz"))) == 1
    assert probe("map", "sst2-text", *options, "--json").json == document


def test_the_table_names_neighbours_and_how_far_to_trust_the_map(probe):
    shown = probe("map", *TWO).flat
    assert (
        "PCA of 40 prompt rows and 16,384 vocabulary rows of builtin, cosine similarity, seed 0"
        in shown
    )
    assert "Trustworthiness" in shown and "among 300 sampled rows" in shown


def test_the_page_needs_no_network_and_says_how_it_was_made(probe, tmp_path):
    assert probe("map", "sst2-text", "--html", tmp_path / "map.html").code == 0
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert not re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="', page)
    assert "Trustworthiness" in page and "seed 0" in page


@pytest.mark.parametrize("command", ["map", "clusters"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("subj-prefix",), "key/value prefix"),
        (("sst2-text", "--model", "minilm"), "width 320"),
        (("nobody",), "no prompt 'nobody'"),
    ],
)
def test_what_has_no_place_among_the_vocabulary_is_refused(command, arguments, message, probe):
    result = probe(command, *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert message in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("map", "sst2-text", "--metric", "dot"),
        ("map", "sst2-text", "--n-neighbors", "1"),
        ("clusters", "sst2-text", "--count", "500"),
        ("clusters", "sst2-text", "--items", "prompts"),
    ],
)
def test_wrong_options_are_usage_errors(arguments, probe):
    result = probe(*arguments)
    assert result.code == 2 and result.out == ""
