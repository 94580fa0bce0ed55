"""`probe decode` names nearest tokens, says what they are worth, and prints them as text."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from probe import verbs
from probe.cli.output import visible
from probe.prompt import KVPrefix
from probe.store import sample_folders
from probe.verbs.loading import load
from tests.hostile import HOSTILE, prompt_rows, write_hostile_model

SAMPLES = [name for name in sample_folders() if "sst2-" in name]  # one of each kind and model


def _is_prefix(name):
    return isinstance(load(sample_folders()[name])[0], KVPrefix)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_decodes_as_the_schema_says(name, probe, check_schema):
    result = probe("decode", name, "--json")
    if _is_prefix(name):
        assert result.code == 1 and "key/value prefix" in result.err
        return
    assert (result.code, result.err) == (0, "")
    document = result.json
    check_schema("decode", document)
    assert (document["prompt"], document["model"], document["metric"]) == (
        name,
        next((one for one in ("minilm", "smollm2") if name.startswith(one)), "builtin"),
        "cosine",
    )
    assert document["higher_is_better"] is True
    assert [p["position"] for p in document["positions"]] == list(
        range(count := 10 if name.startswith("smollm2") else 20)
    )
    for position in document["positions"]:
        scores = [n["score"] for n in position["neighbours"]]
        assert len(scores) == 5 and scores == sorted(scores, reverse=True)
    start = document["never_left_start"]
    if name.endswith("ptuning"):  # its rows come out of an encoder
        assert start is None
        assert "where the positions started is not known" in probe("decode", name).flat
        return
    flagged = [
        p["position"]
        for p in document["positions"]
        if "never left its start" in p["controls"]["flags"]
    ]
    assert start == [len(flagged), count]
    told = "the nearest token is still its initial token (by cosine)"
    assert f"At {start[0] or 'none'} of {count} positions {told}." in probe("decode", name).flat


@pytest.mark.slow
def test_the_table_says_what_was_asked_and_what_it_is_worth(probe):
    result = probe("decode", "sst2-text", "--metric", "l2", "-k", "2", "--seed", "3")
    document = probe(
        "decode", "sst2-text", "--metric", "l2", "-k", "2", "--seed", "3", "--json"
    ).json
    assert "sst2-text on builtin · L2 distance (lower is closer) · k 2" in result.flat
    assert "controls of 1,000 random rows each, seed 3" in result.flat
    for sentence in verbs.decode("sst2-text", metric="l2", k=2, seed=3).headline():
        assert sentence in result.flat
    assert "How to read this" in result.flat
    for position in document["positions"]:
        for neighbour in position["neighbours"]:
            assert neighbour["token"] in result.out
        assert f"{position['controls']['chance']:.1f}" in result.out


def test_without_controls_nothing_is_claimed(probe, check_schema):
    document = probe("decode", "sst2-text", "--no-controls", "--json").json
    check_schema("decode", document)
    assert {p["controls"] for p in document["positions"]} == {None}
    assert document["sample_size"] == 0
    people = probe("decode", "sst2-text", "--no-controls").flat
    assert "Without controls, nobody can say" in people and "chance" not in people


@pytest.mark.slow
def test_filters_and_one_to_one_are_obeyed_and_named(probe):
    arguments = ("decode", "sst2-text", "--filter", "words", "--filter", "regex:^␣[a-z]{4,}$")
    document = probe(*arguments, "--json").json
    tokens = [n["token"] for p in document["positions"] for n in p["neighbours"]]
    assert len(tokens) == 100
    assert all(t[0] == "␣" and t[1:].isalpha() and t.islower() and len(t) > 4 for t in tokens)
    assert document["filters"] == ["words", "regex:^␣[a-z]{4,}$"]
    unique = probe("decode", "sst2-text", "--one-to-one", "--no-controls", "--json").json
    best = [p["neighbours"][0]["id"] for p in unique["positions"]]
    assert len(set(best)) == len(best) == 20
    assert "one to one" in probe("decode", "sst2-text", "--one-to-one", "--no-controls").flat


@pytest.mark.slow
def test_the_answer_is_the_same_twice_and_the_seed_is_obeyed(probe):
    first, again, other = (
        probe("decode", "opinion-vocab", "--seed", seed, "--json").out for seed in (0, 0, 1)
    )
    assert first == again != other


def test_csv_and_html_are_written_beside_the_answer(probe, tmp_path, check_schema):
    result = probe("decode", "sst2-text", "--json", "--csv", "a/x.csv", "--html", "x.html")
    check_schema("decode", result.json)
    with (tmp_path / "a" / "x.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20 * 5
    first = result.json["positions"][0]["neighbours"][0]
    assert (rows[0]["token"], float(rows[0]["score"])) == (first["token"], first["score"])
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "sst2-text" in page and "<script" not in page


def test_two_exports_to_one_file_are_refused_before_any_work(probe, tmp_path):
    result = probe("decode", "sst2-text", "--csv", "x", "--html", "x", "--model", "no-such-model")
    message = "probe: --csv and --html both name x: name two files\n"
    assert (result.code, result.out, result.err) == (1, "", message)


def _two_halves(folder, tmp_path, *, method="PROMPT_TUNING"):
    from safetensors.numpy import save_file

    folder = tmp_path / folder
    folder.mkdir()
    rows = np.random.default_rng(0).standard_normal((8, 320)).astype(np.float32)
    save_file({"prompt_embeddings": rows}, folder / "adapter_model.safetensors")
    config = {
        "peft_type": method,
        "task_type": "SEQ_2_SEQ_LM",
        "num_virtual_tokens": 4,
        "num_transformer_submodules": 2,
        "token_dim": 320,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return rows


def test_the_trained_half_is_decoded_and_its_untrained_twin_named(probe, tmp_path):
    _two_halves("t5", tmp_path)
    result = probe("decode", "t5", "--model", "builtin", "--no-controls", "--json")
    assert result.code == 0 and len(result.json["positions"]) == 4
    assert result.json["prompt"] == "t5-encoder"
    assert result.err.startswith("probe: left out t5-decoder") and result.err.count("\n") == 1


def test_several_trained_prompts_must_be_told_apart(probe, tmp_path):
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.ones((2, 320), dtype=np.float32))
    (tmp_path / "many").mkdir()
    for name in ("a", "b"):
        shutil.move(tmp_path / f"{name}.npy", tmp_path / "many")
    result = probe("decode", "many", "--model", "builtin")
    assert result.code == 1 and "holds 2 prompts: name one of many#a, many#b" in result.err
    assert probe("decode", "many#b", "--model", "builtin", "--no-controls").code == 0


def test_a_prompt_of_unknown_origin_needs_a_model(probe, tmp_path):
    np.save(tmp_path / "bare.npy", np.ones((2, 320), dtype=np.float32))
    result = probe("decode", "bare.npy")
    assert result.code == 1 and "name it with --model" in result.err
    assert probe("decode", "bare.npy", "--model", "builtin", "--no-controls").code == 0


@pytest.mark.parametrize("width", [30, 60, 200])
def test_hostile_tokens_are_printed_as_text_in_any_width(width, probe, tmp_path, monkeypatch):
    model = write_hostile_model(tmp_path / "hostile")
    np.save(tmp_path / "rows.npy", prompt_rows())
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = probe("decode", "rows.npy", "--model", model, "-k", "1", "--no-controls")
    assert result.code == 0
    plain = _without_styles(result.out)
    assert all(c.isprintable() or c == "\n" for c in plain)
    squeezed = "".join(plain.split())
    for token in HOSTILE:
        shown = visible(token).replace(" ", "")
        if "\n" not in token:
            assert shown in squeezed or shown.replace("␣", "") in squeezed, token


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_parts_a_token_from_its_score(width, probe, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    asked = ("decode", "sst2-text", "-k", "5")
    nearest = probe(*asked, "--json").json["positions"]
    shown = probe(*asked).out
    for neighbour in (one for position in nearest for one in position["neighbours"]):
        assert f"{neighbour['token']} {neighbour['score']:.3f}" in shown
    assert all(len(line) <= width for line in shown.split("text: ")[0].splitlines()[1:])


def test_markup_in_tokens_is_not_obeyed(probe, tmp_path):
    folder = write_hostile_model(tmp_path / "hostile")
    document = json.loads((folder / "tokenizer.json").read_text())
    vocab = {
        t.replace("**stars**", "[red]x[/red]"): i for t, i in document["model"]["vocab"].items()
    }
    document["model"]["vocab"] = vocab
    (folder / "tokenizer.json").write_text(json.dumps(document))
    np.save(tmp_path / "rows.npy", prompt_rows()[3:4])
    result = probe("decode", "rows.npy", "--model", folder, "-k", "1", "--no-controls")
    assert "[red]x[/red]" in result.out


def _without_styles(text):
    """The text without the colour codes rich itself adds; any other escape stays and is seen."""
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.slow
def test_controls_are_kept_in_the_workspace(probe, tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "fresh"))
    first = probe("decode", "sst2-text", "--json")
    kept = list((Path(tmp_path) / "fresh" / "cache").glob("*.npz"))
    assert len(kept) == 1
    stamp = kept[0].stat().st_mtime_ns
    assert probe("decode", "sst2-text", "--json").out == first.out
    assert kept[0].stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("command", "option"), [("decode", "--csv"), ("decode", "--html"), ("map", "--html")]
)
def test_no_export_overwrites_a_file(command, option, probe, tmp_path):
    """As `report` and `convert`, and before any work is done."""
    path = tmp_path / "mine.txt"
    path.write_text("mine")
    result = probe(command, "sst2-text", option, path, "--model", "no-such-model")
    message = f"probe: {path} is there already: choose another destination or remove it\n"
    assert (result.code, result.out, result.err) == (1, "", message)
    assert path.read_text() == "mine"


@pytest.mark.slow
def test_a_position_at_its_start_is_flagged_alike_under_every_metric(probe):
    for metric in ("cosine", "l2", "dot"):
        lines = probe("decode", "opinion-vocab", "--metric", metric).flat
        assert "initial token: of all tokens" in lines
    flags = [
        [p["controls"]["flags"].count("never left its start")
         for p in probe("decode", "opinion-vocab", "--metric", metric, "--json").json["positions"]]
        for metric in ("cosine", "l2", "dot")
    ]  # fmt: skip
    assert flags[0] == flags[1] == flags[2] and sum(flags[0]) > 0
