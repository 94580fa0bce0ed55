"""Hub models cost their table and no more, whatever the server does."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.utils import close_session
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models

from probe import hub as hub_answers
from probe.errors import ModelNotFoundError, PromptFormatError
from probe.formats import load
from probe.tables import files, load_vocabulary
from probe.tables import hub as hub_module
from probe.tables.cache import cache_folder
from tests.tables.hub_server import COMMIT, TOKEN, Hub, serve

TABLE = np.random.default_rng(0).standard_normal((2000, 64)).astype(np.float16)
NAME = "model.embed_tokens.weight"
REPO = "org/tiny-llama"


def _model(folder: Path, *, before: int = 3_000_000, shards: bool = False) -> Path:
    """A llama of several MB whose table is a small part of one file."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    Tokenizer(models.WordLevel({"film": 0, "good": 1}, "film")).save(str(folder / "tokenizer.json"))
    other = np.zeros(before // 4, np.float32)
    if shards:
        save_file({"a.weight": other}, folder / "model-00001-of-00002.safetensors")
        save_file({NAME: TABLE, "z": other}, folder / "model-00002-of-00002.safetensors")
        files = {"a.weight": "model-00001-of-00002", NAME: "model-00002-of-00002"}
        index = {"weight_map": {name: f"{file}.safetensors" for name, file in files.items()}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    else:  # the library stores wider tensors first, so the table lies behind `a.weight`
        save_file({"a.weight": other, NAME: TABLE}, folder / "model.safetensors")
    return folder


def _small_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.json"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, huggingface_hub pointed at it, and empty caches."""
    _model(tmp_path / "hub" / REPO)
    with serve(tmp_path / "hub") as server:
        template = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server
        close_session()


def test_only_the_table_its_header_and_the_tokenizer_are_sent(hub: Hub) -> None:
    vocabulary = load_vocabulary(REPO)
    np.testing.assert_array_equal(vocabulary.table, TABLE)
    assert vocabulary.tokens[:3] == ("film", "good", "<row 2>")
    assert vocabulary.encode("good") == [1]
    assert vocabulary.name == REPO
    assert TABLE.nbytes < hub.total < TABLE.nbytes + _small_bytes(hub.root / REPO) + 1000
    assert (
        hub.sent["model.safetensors"] < (hub.root / REPO / "model.safetensors").stat().st_size / 4
    )


def test_a_pipelines_text_encoder_is_read_from_its_folder(hub: Hub) -> None:
    encoder = _model(hub.root / "org" / "pipeline" / "text_encoder")
    (encoder / "tokenizer.json").unlink()
    parts = {"text_encoder": ["transformers", "LlamaModel"]}
    (encoder.parent / "model_index.json").write_text(json.dumps(parts))
    vocabulary = load_vocabulary("org/pipeline")
    np.testing.assert_array_equal(vocabulary.table, TABLE)
    hub.forget()
    load_vocabulary("org/pipeline")
    assert hub.sent.get("text_encoder/model.safetensors", 0) == 0


def test_a_second_load_sends_nothing(hub: Hub) -> None:
    first = load_vocabulary(REPO)
    hub.forget()
    second = load_vocabulary(REPO)
    assert hub.total == 0
    assert hub.requests == [f"HEAD /{REPO}/resolve/main/config.json"]  # has the branch moved?
    assert second.fingerprint == first.fingerprint


def test_a_known_commit_is_never_asked_for_again(hub: Hub) -> None:
    load_vocabulary(REPO, revision=COMMIT)
    hub.forget()
    load_vocabulary(REPO, revision=COMMIT)
    assert hub.requests == []


def test_of_a_sharded_model_only_one_shard_is_touched(hub: Hub) -> None:
    folder = _model(hub.root / "org" / "sharded", shards=True)
    np.testing.assert_array_equal(load_vocabulary("org/sharded").table, TABLE)
    assert not any("00001-of" in request for request in hub.requests)
    assert hub.total < TABLE.nbytes + _small_bytes(folder) + 1000
    hub.forget()
    load_vocabulary("org/sharded")
    assert hub.total == 0


def test_offline_uses_what_was_kept(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for repo in (REPO, "org/sharded"):
        if repo != REPO:
            _model(hub.root / repo, shards=True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        load_vocabulary(repo)
        hub.forget()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        vocabulary = load_vocabulary(repo)
        np.testing.assert_array_equal(vocabulary.table, TABLE)
        assert vocabulary.tokens[1] == "good"
        assert hub.requests == []


def test_offline_and_unknown_is_one_clear_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFoundError, match="not on this machine and HF_HUB_OFFLINE is set"):
        load_vocabulary(REPO)
    assert hub.requests == []


def test_offline_with_only_a_configuration_says_why_nothing_is_found(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hf_hub_download(REPO, "config.json")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFoundError, match="HF_HUB_OFFLINE"):
        load_vocabulary(REPO)


def test_a_model_in_the_hub_librarys_own_cache_is_used_from_there(hub: Hub) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        hf_hub_download(REPO, name)
    hub.forget()
    np.testing.assert_array_equal(load_vocabulary(REPO).table, TABLE)
    assert hub.total == 0
    assert not cache_folder().exists()


@pytest.mark.process
def test_the_environment_alone_points_to_a_mirror(hub: Hub, tmp_path: Path) -> None:
    code = (
        "import sys; from probe.tables import load_vocabulary\n"
        f"v = load_vocabulary({REPO!r}); print(v.table.shape, v.tokens[1])\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "other-hf"),
        "PROBE_HOME": str(tmp_path / "other-home"),
    }
    command = [sys.executable, "-c", code]
    out = subprocess.check_output(command, env=os.environ | environment, text=True)
    assert out == "(2000, 64) good\n"
    hub.forget()
    environment["HF_HUB_OFFLINE"] = "1"
    out = subprocess.check_output(command, env=os.environ | environment, text=True)
    assert out == "(2000, 64) good\n"
    assert hub.requests == []


def test_a_gated_model_needs_the_token_and_the_cdn_never_sees_it(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated = True
    with pytest.raises(ModelNotFoundError, match=f"{REPO} is gated: accept its conditions"):
        load_vocabulary(REPO)
    hub.forget()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    np.testing.assert_array_equal(load_vocabulary(REPO).table, TABLE)
    assert hub.tokens_seen == {("hub", f"Bearer {TOKEN}"), ("cdn", None)}


def test_a_revision_is_honoured(hub: Hub) -> None:
    load_vocabulary(REPO, revision="v1")
    assert any("/resolve/v1/" in request for request in hub.requests)
    with pytest.raises(ModelNotFoundError, match="no such revision"):
        load_vocabulary(REPO, revision="v2")


def test_an_unknown_repository_is_one_clear_error(hub: Hub) -> None:
    with pytest.raises(ModelNotFoundError, match="org/absent is no model at http://127.0.0.1"):
        load_vocabulary("org/absent")


def test_a_hub_that_never_answers_is_not_waited_for(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(hub_answers, "_ANSWER_S", 0.1)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(hub.url, address)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        begun = time.monotonic()
        with pytest.raises(ModelNotFoundError, match="the hub did not answer"):
            load_vocabulary("org/nobody")
        with pytest.raises(PromptFormatError, match="not to be had from the hub"):
            load("org/nobody")
    assert time.monotonic() - begun < 5


def test_a_repository_without_a_configuration_is_one_clear_error(hub: Hub) -> None:
    (hub.root / "org" / "empty").mkdir()
    with pytest.raises(ModelNotFoundError, match="org/empty has no config.json"):
        load_vocabulary("org/empty")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_small_file_that_is_none_is_refused_before_it_is_sent(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = hub.root / REPO / name
    place.write_bytes(place.read_bytes().ljust(100_000))
    monkeypatch.setattr(files, "MAX_SMALL_BYTES", 99_999)
    with pytest.raises(ModelNotFoundError, match=f"{name} has 100000 bytes, expected at most"):
        load_vocabulary(REPO)
    assert not hub.sent.get(name)


def test_a_repository_without_weights_is_one_clear_error(hub: Hub) -> None:
    (hub.root / REPO / "model.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match="no weights"):
        load_vocabulary(REPO)


def test_a_connection_that_breaks_is_taken_up_where_it_stopped(hub: Hub) -> None:
    hub.cut = TABLE.nbytes // 2 + 1
    np.testing.assert_array_equal(load_vocabulary(REPO).table, TABLE)
    assert hub.total < TABLE.nbytes + _small_bytes(hub.root / REPO) + 1000


@pytest.mark.parametrize("admitted", [False, True], ids=["broken off", "declared so"])
@pytest.mark.parametrize("cut", [0, 2])
def test_a_response_that_stays_too_short_is_one_clear_error(
    hub: Hub, cut: int, admitted: bool
) -> None:
    hub.cut, hub.admits_cut = cut, admitted
    words = f"ended after {3 * cut} of 8 bytes" if admitted else "cannot be read from"
    with pytest.raises(ModelNotFoundError, match=words) as caught:
        load_vocabulary(REPO)
    assert "\n" not in str(caught.value)
    kept = [path for path in cache_folder().rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["model.safetensors.size"]  # no half-written range


def test_a_server_that_sends_other_bytes_is_caught(hub: Hub) -> None:
    hub.shift = 8
    with pytest.raises(ModelNotFoundError, match="sends no byte ranges.*got status 206 'bytes 8-"):
        load_vocabulary(REPO)


@pytest.mark.parametrize("status", [403, 404, 416, 500])
def test_a_refusal_is_one_clear_error(hub: Hub, status: int) -> None:
    hub.status = status
    with pytest.raises(ModelNotFoundError, match=REPO) as caught:
        load_vocabulary(REPO)
    assert "\n" not in str(caught.value)


def test_without_ranges_a_table_near_the_start_still_loads(hub: Hub) -> None:
    hub.ranges = False
    np.testing.assert_array_equal(load_vocabulary(REPO).table, TABLE)


def test_without_ranges_a_table_far_inside_is_refused_before_it_is_sent(hub: Hub) -> None:
    _model(hub.root / "org" / "big", before=hub_module.MAX_SKIPPED_BYTES + 4)
    hub.ranges = False
    with pytest.raises(ModelNotFoundError, match="sends no byte ranges.*give its folder"):
        load_vocabulary("org/big")
    assert hub.total < hub_module.MAX_SKIPPED_BYTES


def test_a_name_no_hub_could_have_is_refused_without_asking(hub: Hub) -> None:
    for name in ("a/b/c", "../x", "org/", "https://hub/x", "org/..", "-x", "a--b/c..d"):
        with pytest.raises(ModelNotFoundError):
            load_vocabulary(name)
    assert hub.requests == []
