"""`probe transfer`, `ablate` and `lens` on tiny models and tasks."""

import dataclasses

import numpy as np
import pytest

from probe import formats
from probe.errors import DataError, ProbeError
from probe.prompt import KVPrefix, SoftPrompt
from probe.verbs.ablating import ablate
from probe.verbs.evaluating import evaluate
from probe.verbs.knocking_out import knock_out
from probe.verbs.layers import lens
from probe.verbs.loading import load
from probe.verbs.pruning import prune
from probe.verbs.transferring import transfer
from tests import tiny
from tests.trainable import write_model, write_task

PREFIX, SLOTS = "prefix.safetensors", "slots.safetensors"
TASKS = ("moods", "tastes")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model, two tasks, five prompts of three rows trained on them, a prefix and a misfit."""
    root = tmp_path_factory.mktemp("insides")
    model = write_model(root / "model")
    for name in TASKS:
        write_task(root / name)
    rng = np.random.default_rng(0)
    for i in range(5):
        rows = rng.normal(size=(3, 16))
        own = TASKS[i % 2]
        prompt = SoftPrompt(f"p{i}", rows, base_model=str(model), task=own)
        formats.save(prompt, root / f"p{i}.safetensors", to="safetensors")
    inside = {"template": "{prompt:2}{text}{prompt:1} it was", "label_words": ["yes", "no"]}
    placed = SoftPrompt("slots", rows, base_model=str(model), task="moods", config=inside)
    formats.save(placed, root / SLOTS, to="safetensors")
    prefix = KVPrefix("prefix", *rng.normal(size=(2, 2, 2, 3, 4)), base_model=str(model))
    formats.save(prefix, root / PREFIX, to="safetensors")
    encoder = tiny.save_sentence_encoder(root / "encoder")
    misfit = SoftPrompt("misfit", rows, base_model=str(encoder))
    formats.save(misfit, root / "misfit.safetensors", to="safetensors")
    return root


@pytest.fixture
def here(folders, monkeypatch):
    monkeypatch.chdir(folders)
    return folders


def prompts(count=5):
    return [f"p{i}.safetensors" for i in range(count)]


# Transfer


def test_transfer_scores_are_those_of_evaluate(here, probe, check_schema):
    asked = ("transfer", *prompts(), "--task", "moods", "--task", "tastes")
    result = probe(*asked, "--json")
    assert (result.code, result.err) == (0, "")
    document = result.json
    check_schema("transfer", document)
    assert [one["name"] for one in document["tasks"]] == list(TASKS)
    assert [one["trained_on"] for one in document["prompts"]] == [TASKS[i % 2] for i in range(5)]
    for j, task in enumerate(TASKS):
        expected = evaluate(prompts(), task, zero_shot=True).comparison.evaluations
        for i in range(5):
            cell = document["cells"][2 * i + j]
            assert (cell["prompt"], cell["task"]) == (f"p{i}", task)
            assert cell["score"] == document["matrix"][i][j]
            assert cell["score"] == expected[i].measures["accuracy"].value
            assert cell["gain"] == expected[i].against_zero_shot["accuracy"].value
            assert tuple(cell["interval"]) == expected[i].measures["accuracy"].interval


@pytest.mark.slow
def test_transfer_is_correlated_with_every_measure_that_is_defined(here, probe, check_schema):
    asked = ("transfer", *prompts(), "--task", "moods", "--task", "tastes")
    every = probe(*asked, "--json").json
    measures = {one["measure"] for one in every["correlations"]}
    refused = {one["measure"] for one in every["refused"]}
    assert not measures & refused and len(measures) + len(refused) == 11
    assert "cka" in refused  # three positions are too few
    one = probe(*asked, "--measure", "chamfer", "--centre", "--json").json
    check_schema("transfer", one)
    assert [(c["measure"], c["same_task"]) for c in one["correlations"]] == [
        ("chamfer", False),
        ("chamfer", True),
    ]
    assert one["centre"] is True
    shown = probe(*asked, "--measure", "chamfer", "--measure", "cka").flat
    assert "chamfer" in shown.lower() and "cka left out: cka needs" in shown


def test_few_prompts_are_scored_without_correlations(here, probe, check_schema):
    result = probe("transfer", *prompts(2), "--task", "moods", "--limit", "4", "--json")
    check_schema("transfer", result.json)
    assert result.json["correlations"] == [] and result.json["tasks"][0]["n"] == 4
    shown = probe("transfer", *prompts(2), "--task", "moods", "--limit", "4").flat
    assert "No correlation with similarity: it takes four prompts or more" in shown


def test_transfer_refuses_nonsense(here, probe):
    twice = probe("transfer", *prompts(2), "--task", "moods", "--task", "moods")
    assert twice.code == 1 and "two tasks have the name moods" in twice.err
    unknown = probe("transfer", *prompts(2), "--task", "moods", "--measure", "likeness")
    assert unknown.code == 2 and "unknown measure 'likeness'" in unknown.err


# Ablation


def test_ablation_of_a_real_prompt_matches_evaluate(here, probe, check_schema):
    result = probe("ablate", "p0.safetensors", "--task", "moods", "--json")
    assert (result.code, result.err) == (0, "")
    document = result.json
    check_schema("ablate", document)
    (prompt,) = load("p0.safetensors")
    whole = evaluate([prompt], "moods", zero_shot=True).comparison.evaluations
    loss = [one.measures["loss_nats"].value for one in whole]
    assert document["loss_nats"] == pytest.approx(loss[0], rel=1e-5)
    assert document["without_prompt"]["nats"] == pytest.approx(loss[1] - loss[0], abs=1e-5)
    less = SoftPrompt("less", prompt.embeddings[1:], base_model=prompt.base_model, task="moods")
    (removed,) = evaluate([less], "moods").comparison.evaluations
    change = document["positions"][0]["removed"]
    assert change["nats"] == pytest.approx(removed.measures["loss_nats"].value - loss[0], abs=1e-5)
    low, high = change["interval"]
    assert low <= change["nats"] <= high
    assert np.array(document["attention"]["mass"]).shape == (2, 3)


def test_prefixes_and_placed_prompts_are_changed_where_it_makes_sense(here, probe, check_schema):
    prefix = probe("ablate", PREFIX, "--task", "moods", "--limit", "5", "--json").json
    check_schema("ablate", prefix)
    assert all(one["swapped"] is None and one["removed"] for one in prefix["positions"])
    placed = probe("ablate", SLOTS, "--task", "moods", "--limit", "5", "--json").json
    check_schema("ablate", placed)
    assert all(one["removed"] is None and one["swapped"] for one in placed["positions"])
    assert "removed" not in probe("ablate", SLOTS, "--task", "moods", "--limit", "5").flat


def test_people_see_the_changes_the_attention_and_what_they_are_worth(here, probe):
    found = ablate("p0.safetensors", "moods", limit=5)
    shown = probe("ablate", "p0.safetensors", "--task", "moods", "--limit", "5").flat
    for one in found.ablation.positions:
        assert f"{one.removed.value:+.3f} [{one.removed.interval[0]:+.3f}" in shown
    assert "without any effect one in twenty" in shown and "looking is not using" in shown
    assert len(found.to_frame()) == 9 and len(found.attention.to_frame()) == 6


def test_ablation_needs_labels_and_one_prompt(here, probe, tmp_path):
    folder = tmp_path / "write"
    folder.mkdir()
    (folder / "task.toml").write_text('kind = "generation"\ntemplate = "{text}"\n')
    (folder / "test.jsonl").write_text('{"text": "a film", "target": "day"}\n')
    result = probe("ablate", "p0.safetensors", "--task", folder)
    assert result.code == 1 and "ablation needs a classification task" in result.err


def test_rows_are_attributed_by_gradients_beside_what_removing_them_costs(
    here, probe, check_schema
):
    both = ("--attribution", "gradient_input,integrated_gradients")
    asked = ("ablate", "p0.safetensors", "--task", "moods", "--limit", "5", *both)
    document = probe(*asked, "--json").json
    check_schema("ablate", document)
    one, integrated = document["attributions"]
    assert (one["method"], one["steps"], integrated["steps"]) == ("gradient_input", 1, 32)
    total = sum(position["value"] for position in integrated["positions"])
    assert total == pytest.approx(integrated["baseline_change_nats"], abs=2e-3)
    assert abs(integrated["gap_nats"]) < 2e-3
    pairs = [(pair["first"], pair["second"]) for pair in document["agreements"]]
    assert ("removed", "integrated_gradients") in pairs and len(pairs) == 10
    shown = probe(*asked).flat
    assert "become the baseline (mean)" in shown and "Spearman" in shown
    refused = probe(*asked, "--baseline", "start")
    assert refused.code == 1 and "names no tokens that its rows started from" in refused.err


# Knock-out


def test_layers_are_cut_off_from_a_prompt_on_the_examples_of_a_task(here, probe, check_schema):
    result = probe("knock-out", "p0.safetensors", "--task", "moods", "--json")
    assert (result.code, result.err) == (0, "")
    document = result.json
    check_schema("knock_out", document)
    ablated = probe("ablate", "p0.safetensors", "--task", "moods", "--json").json
    assert document["loss_nats"] == pytest.approx(ablated["loss_nats"], abs=1e-5)
    removed = document["without_prompt"]["loss_nats"]["value"]
    assert removed == pytest.approx(ablated["without_prompt"]["nats"], abs=1e-5)
    blind = document["everywhere"]["loss_nats"]["value"]
    assert blind == pytest.approx(removed, abs=1e-5)  # Llama counts places relatively
    first, last = document["layers"]
    assert last["up_to"] == first["onward"] == document["everywhere"]
    assert first["window"] == first["up_to"] and first["window"]["loss_nats"]["value"] != blind
    shown = probe("knock-out", "p0.safetensors", "--task", "moods").flat
    assert f"{first['window']['loss_nats']['value']:+.3f} [" in shown and "do not see" in shown
    prefix = probe("knock-out", PREFIX, "--task", "moods", "--limit", "5", "--json").json
    check_schema("knock_out", prefix)


def test_without_a_task_contexts_are_answered_with_the_prompt(here, probe, check_schema, tmp_path):
    contexts = tmp_path / "contexts.txt"
    contexts.write_text("the film was\nvery cold\na day\n")
    asked = ("knock-out", "p0.safetensors", "--contexts", contexts, "--template", "{text} was")
    document = probe(*asked, "--window", "2", "--json").json
    check_schema("knock_out", document)
    assert document["measured"] == "kl" and document["n"] == 3 and document["task"] is None
    assert document["loss_nats"] == pytest.approx(0, abs=1e-4)
    assert document["everywhere"]["loss_nats"]["value"] > 0
    assert document["everywhere"]["accuracy"] is None
    refused = probe("knock-out", "misfit.safetensors", "--template", "{text}")
    assert refused.code == 1 and "answers no contexts: name a task with labels" in refused.err


# Pruning


def test_pruning_keeps_the_best_on_validation_and_scores_it_on_test(here, probe, check_schema):
    asked = ("prune", "p0.safetensors", "--task", "moods", "--steps", "2")
    result = probe(*asked, "--keep", "1,2", "--json")
    assert result.code == 0 and "present values" in result.err
    document = result.json
    check_schema("prune", document)
    assert [len(one["rows"]) for one in document["kept"]] == [2, 1]
    assert document["test_examples"] == 10 and document["saved"] == "p0-pruned@1"
    assert document["rewound"] == "present"
    shown = probe(*asked, "--ratio", "0.3", "--name", "less").flat
    assert "2 of 3 rows of p0 kept" in shown and "Kept as less@1" in shown
    scored = probe("evaluate", "less", "--task", "moods", "--json").json
    assert scored["loss_nats"] > 0


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (("--keep", "3"), 1, "from 1 to 2 of 3, found 3"),
        (("--ratio", "1.5"), 2, "above 0 and below 1, found 1.5"),
        (("--ratio", "half"), 2, "expected numbers with commas between them, found half"),
        (("--ratio", "0.5", "--keep", "1"), 2, "give keep or ratio, not both"),
        (("--task", "nosuch"), 1, "nosuch"),
    ],
)
def test_what_cannot_be_pruned_is_refused_in_one_line(here, probe, given, code, said):
    result = probe("prune", "p0.safetensors", "--task", "moods", *given)
    assert result.code == code and said in " ".join(result.err.replace("│", " ").split())
    assert code == 2 or len(result.err.splitlines()) == 1
    refused = probe("prune", PREFIX, "--task", "moods")
    assert refused.code == 1 and "is a prefix of keys and values: pruning needs" in refused.err


# Lenses


def test_the_lens_reads_every_position_at_every_layer(here, probe, check_schema):
    result = probe("lens", "p0.safetensors", "-k", "2", "--draws", "2", "--json")
    assert (result.code, result.err) == (0, "")
    document = result.json
    check_schema("lens", document)
    assert document["kind"] == "logit" and document["descriptions"] is None
    places = [(cell["layer"], cell["position"]) for cell in document["cells"]]
    assert places == [(layer, position) for layer in range(3) for position in range(3)]
    assert all(len(cell["tokens"]) == 2 for cell in document["cells"])
    shown = probe("lens", "p0.safetensors", "--draws", "2").flat
    assert document["cells"][0]["tokens"][0]["token"] in shown and "Overlap" in shown


def test_a_prefix_is_read_by_its_values_head_by_head(here, probe, check_schema):
    document = probe("lens", PREFIX, "--draws", "2", "--json").json
    check_schema("lens", document)
    assert document["kind"] == "value" and len(document["cells"]) == 2 * 4 * 3
    shown = probe("lens", PREFIX, "--draws", "2").flat
    assert "value lens" in shown and "as the head reads it that is surest" in shown


def test_descriptions_count_the_terms_asked_for(here, probe, check_schema):
    asked = ("lens", "p0.safetensors", "--describe", "--draws", "3", "--term", "film")
    document = probe(*asked, "--term", "yes", "--target", "say {prompt} :", "--json").json
    check_schema("lens", document)
    found = document["descriptions"]
    assert found["terms"] == ["film", "yes"] and found["target"] == "say {prompt} :"
    assert [one["layer"] for one in found["layers"]] == [0, 1]
    assert 1 / 4 <= found["p_value"] <= 1
    assert "Class rate: how many of film are named" in probe(*asked).flat


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("misfit.safetensors",), 1, "has no unembedding for its hidden states"),
        ((PREFIX, "--describe"), 1, "it has no hidden states to describe"),
        (("p0.safetensors", "--describe"), 1, "does not tell its label words"),
        (("p0.safetensors", "-k", "9999"), 2, "k must be between 1 and"),
        (("p0.safetensors", "--describe", "--term", "a", "--target", "x"), 2, "{prompt} once"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(here, probe, arguments, code, message):
    result = probe("lens", *arguments)
    assert (result.code, result.out) == (code, "")
    assert message in " ".join(result.err.replace("│", " ").split())


def test_the_verbs_take_prompts_as_objects(here):
    (prompt,) = load("p1.safetensors")
    assert lens(prompt, draws=1).lens.prompt == "p1"
    assert transfer([prompt], ["moods"], limit=3).prompts == ("p1",)


def test_examples_are_parted_as_the_prompt_was_trained(here, tmp_path):
    task = write_task(tmp_path / "moods")
    (task / "validation.jsonl").unlink()
    (prompt,) = load("p0.safetensors")
    whole = dataclasses.replace(prompt, config={"training": {"holdout": 0.0}})
    with pytest.raises(DataError, match="task moods has no validation examples"):
        ablate(whole, task, split="validation")
    with pytest.raises(DataError, match="task moods has no validation examples"):
        knock_out(whole, task, split="validation")
    with pytest.raises(DataError, match="task moods has no validation examples"):
        transfer([whole], [task], split="validation")
    with pytest.raises(DataError, match="set aside 0.5, 0.25 of the training examples"):
        shares = [{"training": {"holdout": share}} for share in (0.5, 0.25)]
        both = [dataclasses.replace(prompt, config=config) for config in shares]
        transfer(both, [task], split="validation")
    found = prune(whole, task, keep=[2], steps=1, limit=2, workspace=tmp_path / "home")
    assert any("was trained with nothing set aside" in line for line in found.notes)


def test_similarity_is_correlated_of_trained_prompts_alone(here):
    pool = [load(name)[0] for name in prompts()]
    untrained = dataclasses.replace(pool[0], name="half", trained=False)
    found = transfer([untrained, *pool], ["moods"], limit=3, measure=["mean_token_cosine"])
    assert len(found.prompts) == 6 and len(found.correlations) == 2


@pytest.mark.parametrize("family", ["encoder_decoder", "masked", "sentence_encoder"])
def test_every_family_can_be_ablated(family, tmp_path):
    """Soft prompts of models that read them elsewhere: in an encoder, behind a first token."""
    folder = getattr(tiny, f"save_{family}")(tmp_path / family)
    rows = np.random.default_rng(0).normal(size=(3, 16))
    prompt = SoftPrompt("p", rows, base_model=str(folder))
    found = ablate(prompt, tiny.task(4, validation=6), split="validation")
    assert found.ablation.n == 6 and found.ablation.loss_nats > 0
    assert all(one.removed.value != 0 for one in found.ablation.positions)
    assert (found.attention.whole < 1).all()
    assert found.attention.uniform.sum(axis=1).max() < 1


def test_a_masked_model_reads_a_prompt_through_its_own_head(tmp_path):
    folder = tiny.save_masked(tmp_path / "masked")
    rows = np.random.default_rng(0).normal(size=(3, 16))
    found = lens(SoftPrompt("p", rows, base_model=str(folder)), k=2, draws=2)
    assert len(found.lens.cells) == 3 * 3
    with pytest.raises(ProbeError, match="patching continues a text"):
        lens(SoftPrompt("p", rows, base_model=str(folder)), describe=True, term=["a"], draws=1)


# Pages


@pytest.mark.parametrize(
    ("asked", "figures"),
    [
        (("transfer", *prompts(2), "--task", "moods", "--limit", "4"), 1),
        (("ablate", "p0.safetensors", "--task", "moods", "--limit", "4"), 4),
        (("lens", "p0.safetensors", "--draws", "2"), 2),
    ],
)
def test_figures_are_written_to_a_new_page_that_opens_anywhere(asked, figures, here, probe):
    page = here / f"{asked[0]}.html"
    shown = probe(*asked, "--html", page.name)
    assert shown.code == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("<h2>") == figures and 'src="http' not in text
    again = probe(*asked, "--html", page.name)
    assert again.code == 1 and page.name in again.err
