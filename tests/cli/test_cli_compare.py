"""`probe compare` and `probe.compare`: matrices between prompts, and refusals that say why."""

import json

import numpy as np
import pytest

import probe as package
from probe.analysis.compare import MEASURES
from probe.errors import NotComparableError
from probe.prompt import SoftPrompt

THREE = ("sst2-text", "opinion-vocab", "trec-text")


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_compares_the_samples_as_the_schema_says(measure, probe, check_schema):
    result = probe("compare", *THREE, "--measure", measure, "--json")
    assert (result.code, result.err) == (0, "")
    document = result.json
    check_schema("compare", document)
    assert document["prompts"] == list(THREE) and document["measure"] == measure
    matrix = np.array(document["matrix"])
    assert matrix.shape == (3, 3) and (matrix == matrix.T).all()
    for i, j, value in document["nearest"]:
        assert i < j and matrix[i, j] == value


def test_the_command_prints_what_the_verb_returns(probe):
    document = probe("compare", *THREE, "--centre", "--json").json
    assert document == json.loads(json.dumps(package.compare(THREE, centre=True).to_json()))


def test_the_table_says_what_was_measured_and_names_the_closest_pair(probe):
    shown = probe("compare", *THREE, "--measure", "chamfer", "--centre").flat
    assert "Chamfer distance (lower is closer)" in shown and "centred on the mean row" in shown
    assert "closest pairs" in shown and "3 prompts" in shown


@pytest.mark.slow
def test_prefixes_fire_neurons_too_and_layers_can_be_chosen(probe, check_schema):
    names = ("sst2-text", "subj-prefix", "--measure", "neuron_overlap")
    every = probe("compare", *names, "--json").json
    check_schema("compare", every)
    first = probe("compare", *names, "--layers", "0", "--json").json
    assert 0 < first["matrix"][0][1] < 1 and first["matrix"] != every["matrix"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sst2-text", "subj-prefix"), "subj-prefix is a key/value prefix"),
        (("sst2-text",), "a comparison needs 2 or more trained prompts, found sst2-text"),
        (("sst2-text", "./wide.npy"), "sst2-text has width 320, wide has width 7"),
        (("sst2-text", "./long.npy", "--measure", "cka"), "sst2-text has 20 positions, long has 9"),
        (("sst2-text", "./long.npy", "--measure", "jaccard"), "does not say which model"),
        (("sst2-text", "./long.npy", "--measure", "neuron_overlap"), "does not say which model"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(arguments, message, probe, tmp_path):
    np.save(tmp_path / "wide.npy", np.ones((20, 7), np.float32))
    np.save(tmp_path / "long.npy", np.ones((9, 320), np.float32))
    result = probe("compare", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert message in result.err


@pytest.mark.parametrize(
    "options",
    [
        ("--measure", "nearness"),
        ("--measure", "jaccard", "--centre"),
        ("--measure", "neuron_overlap", "--layers", "x"),
        ("--measure", "neuron_overlap", "--layers", "90"),
    ],
)
def test_wrong_options_are_usage_errors(options, probe):
    result = probe("compare", "sst2-text", "opinion-vocab", *options)
    assert result.code == 2 and result.out == ""


def test_a_named_model_stands_for_what_files_do_not_say(rng_rows):
    unsaid = SoftPrompt("unsaid", rng_rows)
    other = SoftPrompt("other", rng_rows + 1, base_model="somewhere/else")
    overlap = package.compare([unsaid, other], "neuron_overlap", model="builtin")
    assert 0 < overlap.matrix[0, 1] <= 1
    assert package.compare([unsaid, other], "jaccard", model="builtin", k=2).matrix.shape == (2, 2)
    third = SoftPrompt("third", rng_rows, base_model="builtin")
    with pytest.raises(NotComparableError, match="other was trained on somewhere/else, third on"):
        package.compare([other, third])
    assert package.compare([other, third], model="builtin").matrix[0, 1] <= 1


@pytest.fixture
def rng_rows():
    return np.random.default_rng(0).standard_normal((5, 320)).astype(np.float32)


def test_the_pairs_say_how_many_positions_began_alike_and_change_takes_the_start_out(
    probe, check_schema
):
    tried = ("sst2-vocab", "agnews-vocab", "sst2-text", "agnews-text")
    names = tuple(f"minilm-{name}" for name in tried)
    shown = probe("compare", *names).flat
    assert "shared starts" in shown and " 20 of 20 " in shown and " 0 of 20 " in shown
    assert "and among pairs without a shared start in" in shown
    change = probe("compare", *names, "--change", "--json").json
    check_schema("compare", change)
    before = probe("compare", *names, "--json").json
    assert change["change"] and not before["change"] and change["matrix"] != before["matrix"]
    assert change["shared_starts"][0][:3] == [20, 20, 0]
    assert change == json.loads(json.dumps(package.compare(names, change=True).to_json()))


def test_the_samples_are_told_apart_by_task_also_without_shared_starts():
    """Their likeness is of the task: without a shared start the area rises from 0.881 to 0.946."""
    from probe.store import sample_folders

    loaded = [prompt for name in sample_folders() for prompt in package.load(name)]
    soft = [p for p in loaded if isinstance(p, SoftPrompt) and p.base_model == "minilm"]
    told = package.compare(soft).to_json()["separation"]
    assert told["all"]["area"] == pytest.approx(0.881, abs=5e-4)
    assert told["without_shared_start"]["area"] == pytest.approx(0.946, abs=5e-4)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("minilm-sst2-text", "minilm-sst2-ptuning", "--change"),
            1,
            "does not say which tokens training began",
        ),
        (
            ("sst2-text", "opinion-vocab", "--change", "--measure", "jaccard"),
            2,
            "does not compare row",
        ),
    ],
)
def test_a_change_that_cannot_be_known_is_refused_in_one_line(arguments, code, message, probe):
    result = probe("compare", *arguments)
    assert (result.code, result.out) == (code, "") and message in " ".join(result.err.split())
