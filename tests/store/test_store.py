"""The workspace keeps what it is given, whole, under names that never change hands."""

import dataclasses
import json
import math
import multiprocessing
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from probe.atomic import TEMPORARY_PREFIX
from probe.errors import WorkspaceError
from probe.paths import home
from probe.prompt import KVPrefix, Provenance, SoftPrompt
from probe.store import Workspace, keep_file
from probe.store.card import workspace_name
from probe.store.index import MIGRATIONS, Index, stamps
from tests.waiting import LONGEST_S

RNG = np.random.default_rng(5)
HOUR_S = 3600


def prompt(name="mood", rows=3, width=8, **fields):
    return SoftPrompt(name, RNG.standard_normal((rows, width)), **fields)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


def test_a_saved_prompt_comes_back_bit_for_bit_with_what_was_known_of_it(workspace):
    saved = prompt(
        base_model="builtin",
        task="sst2",
        method="prompt_tuning",
        init_token_ids=(7, 8, 9),
        metrics={"accuracy": 0.5},
    )
    card = workspace.save(saved, tags=["film", "film "], note="first try")
    back = workspace.get("mood")
    np.testing.assert_array_equal(back.embeddings, saved.embeddings)
    assert back.name == card.id == "mood@1"
    assert (back.base_model, back.task, back.method) == ("builtin", "sst2", "prompt_tuning")
    assert (back.init_token_ids, back.metrics) == ((7, 8, 9), {"accuracy": 0.5})
    assert (card.tags, card.note, card.shape) == (("film",), "first try", (3, 8))


def test_where_a_prompt_was_first_read_from_stays_on_its_card(workspace):
    source = Provenance("koboldai", "/there/mood.zip", "ab" * 32)
    card = workspace.save(prompt(provenance=source))
    assert (card.format, card.origin, card.sha256) == ("koboldai", "/there/mood.zip", "ab" * 32)
    assert workspace.card("mood") == card


def test_what_peft_can_express_is_stored_as_an_adapter_and_the_rest_as_safetensors(workspace):
    workspace.save(prompt("causal", method="prompt_tuning"))
    workspace.save(prompt("half", submodule="decoder"))
    folders = workspace.prompts.root
    assert (folders / "causal@1" / "adapter_config.json").is_file()
    names = {path.name for path in (folders / "half@1").iterdir()}
    assert names == {"card.json", "prompt.safetensors", "SHA256SUMS"}
    assert workspace.get("half").submodule == "decoder"


def test_a_prefix_is_kept_like_any_prompt(workspace):
    arrays = RNG.standard_normal((2, 3, 2, 4, 5))
    card = workspace.save(KVPrefix("prefix", *arrays))
    assert (card.kind, card.shape) == ("kv_prefix", (3, 2, 4, 5))
    back = workspace.get("prefix@1")
    np.testing.assert_array_equal(back.keys, arrays[0].astype(np.float32))
    np.testing.assert_array_equal(back.values, arrays[1].astype(np.float32))


def test_saving_again_makes_the_next_version_and_leaves_the_first(workspace):
    first, second = prompt(), prompt()
    assert [workspace.save(p).id for p in (first, second)] == ["mood@1", "mood@2"]
    np.testing.assert_array_equal(workspace.get("mood@1").embeddings, first.embeddings)
    np.testing.assert_array_equal(workspace.get("mood").embeddings, second.embeddings)
    assert workspace.save(workspace.get("mood@1")).id == "mood@3"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("<cat-toy>", "cat-toy"),
        ("a b\n@#c", "a-b-c"),
        ("mood@12", "mood"),
        (".hidden", "hidden"),
        ("…", "prompt"),
        ("Gefühl", "Gefühl"),
        ("x" * 500, "x" * 100),
    ],
)
def test_a_name_becomes_one_that_is_safe_as_a_folder(name, kept, workspace):
    assert workspace_name(name) == kept
    assert workspace.save(prompt(name)).id == f"{kept}@1"
    assert [p.name for p in workspace.prompts.root.iterdir()] == [f"{kept}@1"]


def test_names_that_differ_in_case_alone_never_share_a_folder(workspace):
    assert [workspace.save(prompt(name)).id for name in ("Mood", "mood")] == ["Mood@1", "mood@2"]


@pytest.mark.parametrize("reference", ["nobody", "mood@2", "mood@x", "", "@", "../mood@1"])
def test_an_unknown_name_is_one_clear_error(reference, workspace):
    workspace.save(prompt())
    with pytest.raises(WorkspaceError, match=r"the workspace .*has no "):
        workspace.get(reference)


def test_looking_does_not_create_a_workspace(workspace):
    assert workspace.list() == []
    assert workspace.problems() == workspace.leftovers() == []
    assert not workspace.root.exists()


def test_a_root_that_cannot_be_a_folder_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkspaceError, match="cannot be written .*set PROBE_HOME"):
        Workspace(tmp_path / "file").save(prompt())


def test_the_root_is_probe_home_or_the_platforms_own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "mine"))
    assert Workspace().root == tmp_path / "mine"
    monkeypatch.delenv("PROBE_HOME")
    assert home().name == "probe" and home().is_absolute()


# Tags, notes, search, removal


def test_a_mistyped_prompt_is_told_what_it_may_have_been(workspace):
    workspace.save(prompt("moods"))
    with pytest.raises(WorkspaceError, match="no prompt mods@1: .*did you mean moods?"):
        workspace.tag("mods@1", "film")


def test_tags_and_notes_can_be_changed_and_searched(workspace):
    workspace.save(prompt("a", task="sst2"))
    workspace.save(prompt("b", task="agnews", base_model="gpt2"))
    workspace.tag("a", "film", "good")
    workspace.untag("a", "good", "never there")
    workspace.annotate("b", "Started from TEXT")
    assert [c.id for c in workspace.list("film")] == ["a@1"]
    assert workspace.card("a").tags == ("film",)
    assert [c.id for c in workspace.list() if c.matches("text started")] == ["b@1"]
    assert [c.id for c in workspace.list() if c.matches("GPT2")] == ["b@1"]
    assert not any(c.matches("film gpt2") for c in workspace.list())


@pytest.mark.parametrize("tag", ["", "  ", "a\x1b[31m", "line\nbreak", "\u202eturned"])
def test_a_tag_that_cannot_be_seen_is_refused(tag, workspace):
    workspace.save(prompt())
    with pytest.raises(WorkspaceError, match="a tag must be visible text"):
        workspace.tag("mood", tag)


def test_removal_needs_an_exact_name_when_there_are_several_versions(workspace):
    for _ in range(2):
        workspace.save(prompt())
    with pytest.raises(WorkspaceError, match="2 versions: name one of mood@1, mood@2"):
        workspace.remove("mood")
    workspace.remove("mood@1")
    assert [c.id for c in workspace.list()] == ["mood@2"]
    assert workspace.prompts.ids() == {"mood@2"}


def test_the_id_of_a_removed_prompt_is_not_given_again(workspace):
    workspace.save(prompt())
    workspace.save(prompt())
    workspace.remove("mood@2")
    workspace.remove("mood@1")
    assert workspace.save(prompt()).id == "mood@3"


# The index follows the folders


def test_tags_and_notes_survive_the_loss_of_the_index(workspace):
    workspace.save(prompt("a"), tags=["film"], note="kept")
    workspace.save(prompt("b"))
    before = workspace.list()
    for path in workspace.root.glob("library.sqlite*"):
        path.unlink()
    assert workspace.list() == before
    assert [c.id for c in workspace.list("film")] == ["a@1"]


def test_the_stamp_changes_with_the_list_and_with_nothing_else(workspace):
    stamps = [workspace.stamp()]
    for change in (
        lambda: workspace.save(prompt("a")),
        lambda: workspace.save(prompt("b")),
        lambda: workspace.tag("a@1", "good"),
        lambda: workspace.annotate("a@1", "a note"),
        lambda: workspace.untag("a@1", "good"),
        lambda: workspace.remove("b@1"),
    ):
        change()
        workspace.list()
        stamps.append(workspace.stamp())
    assert len(set(stamps)) == len(stamps)
    workspace.list()
    workspace.get("a@1")
    assert workspace.stamp() == stamps[-1]


def test_prompts_a_process_stored_but_never_indexed_are_listed(workspace):
    workspace.save(prompt("a"))
    other = Workspace(workspace.root.parent / "other")
    other.save(prompt("b"))
    (other.prompts.root / "b@1").rename(workspace.prompts.root / "b@1")
    assert [c.id for c in workspace.list()] == ["a@1", "b@1"]
    (workspace.prompts.root / "a@1").rename(other.prompts.root / "a@1")
    assert [c.id for c in workspace.list()] == ["b@1"]


def test_a_damaged_index_says_so_hides_nothing_and_is_rebuilt_from_the_folders(workspace, caplog):
    workspace.save(prompt(), tags=["film"])
    workspace.index.path.write_bytes(b"this is no database" * 100)
    assert [c.id for c in workspace.list("film")] == ["mood@1"]
    assert "run `probe doctor --rebuild`" in caplog.text
    assert workspace.save(prompt()).id == "mood@2"  # whoever has trained it must not lose it
    workspace.remove("mood@2")
    with pytest.raises(WorkspaceError, match="run `probe doctor --rebuild`"):
        workspace.tag("mood", "x")  # two processes could not take turns
    assert "library.sqlite" in workspace.problems()[0]
    assert workspace.rebuild() == 1
    assert workspace.problems() == []
    assert [c.id for c in workspace.list("film")] == ["mood@1"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"name": "mood"}', "null", '{"shape": 3, "tags": []}', "[" * 9999],
)
def test_a_damaged_card_is_reported_and_hides_no_other_prompt(text, workspace):
    workspace.save(prompt("good"))
    workspace.save(prompt("bad"))
    (workspace.prompts.root / "bad@1" / "card.json").write_text(text)
    workspace.rebuild()
    assert [c.id for c in workspace.list()] == ["good@1"]
    (problem,) = workspace.problems()
    assert "bad@1" in problem and "add the prompt again" in problem


@pytest.mark.parametrize(
    ("field", "value"),
    [("created", None), ("version", "1"), ("tags", [3]), ("shape", ["a"]), ("metrics", []),
     ("trained", 1), ("base_model", {})],
)  # fmt: skip
def test_a_card_with_a_field_of_another_kind_hides_no_other_prompt(field, value, workspace):
    workspace.save(prompt("good"))
    workspace.save(prompt("bad"))
    card = workspace.prompts.root / "bad@1" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {field: value}))
    workspace.rebuild()
    assert [c.id for c in workspace.list()] == ["good@1"]
    (problem,) = workspace.problems()
    assert f"{field} of another kind" in problem


def test_a_metric_that_is_no_number_is_none(workspace):
    metrics = {"loss": math.nan, "best": [math.inf, 0.5], 3: "x"}
    saved = workspace.save(dataclasses.replace(prompt(), metrics=metrics))
    assert saved.metrics == workspace.card(saved.id).metrics
    assert saved.metrics == {"loss": None, "best": [None, 0.5], "3": "x"}
    json.dumps(workspace.list()[0].to_json(), allow_nan=False)


def test_a_long_name_of_wide_letters_fits_a_folder(workspace):
    saved = workspace.save(dataclasses.replace(prompt(), name="名" * 200))
    assert saved.name == "名" * 33 and workspace.get(saved.id).name


def test_a_card_in_the_wrong_folder_is_reported(workspace):
    workspace.save(prompt())
    (workspace.prompts.root / "mood@1").rename(workspace.prompts.root / "mood@7")
    assert ["rename its folder" in problem for problem in workspace.problems()] == [True]


def test_damaged_vectors_are_reported(workspace):
    workspace.save(prompt())
    (workspace.prompts.root / "mood@1" / "adapter_model.safetensors").write_bytes(b"\x00" * 9)
    assert ["adapter_model.safetensors" in problem for problem in workspace.problems()] == [True]


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path):
    path = tmp_path / "library.sqlite"
    with Index(path).writing() as db:
        assert stamps(db) == {}
    broken = (*MIGRATIONS, ("CREATE TABLE extra (a TEXT)", "NOT SQL"))
    with pytest.raises(WorkspaceError, match="syntax error"):
        Index(path, broken).entries()
    with Index(path).writing() as db:
        assert db.execute("SELECT name FROM sqlite_master WHERE name = 'extra'").fetchall() == []
        numbers = [(n,) for n in range(1, len(MIGRATIONS) + 1)]
        assert db.execute("SELECT number FROM migrations").fetchall() == numbers


def test_later_migrations_keep_what_the_oldest_schema_held(workspace):
    workspace.save(prompt(), tags=["film"])
    later = (*MIGRATIONS, ("CREATE TABLE extra (id TEXT)",), ("DROP TABLE extra",))
    index = Index(workspace.index.path, later)
    assert [(c.id, c.tags) for c, _ in index.entries()] == [("mood@1", ("film",))]
    with index.writing() as db:
        assert db.execute("SELECT max(number) FROM migrations").fetchone() == (len(later),)


def test_an_index_of_a_newer_program_is_left_alone(workspace):
    workspace.save(prompt())
    newer = Index(workspace.index.path, (*MIGRATIONS, ("CREATE TABLE future (a TEXT)",)))
    newer.entries()
    assert workspace.save(prompt()).id == "mood@2"  # the folders do
    assert len(workspace.list()) == 2
    assert any("upgrade soft-prompt-probe" in line for line in workspace.problems())


def test_the_index_lets_readers_go_on_while_one_process_writes(workspace):
    workspace.save(prompt())
    db = sqlite3.connect(workspace.index.path)
    try:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    finally:
        db.close()


# Several processes at once, and kills in the middle


def _save_some(root, count, barrier):
    workspace = Workspace(root)
    barrier.wait()
    for number in range(count):
        saved = workspace.save(SoftPrompt("mood", np.full((2, 4), os.getpid() + number)))
        workspace.tag(saved.id, f"by {os.getpid()}")


@pytest.mark.slow
def test_processes_that_save_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    workers = [context.Process(target=_save_some, args=(tmp_path, 6, barrier)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=LONGEST_S)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    workspace = Workspace(tmp_path)
    cards = workspace.list()
    assert [card.version for card in cards] == list(range(1, 19))
    for worker in workers:
        mine = workspace.list(f"by {worker.pid}")
        rows = {float(workspace.get(card.id).embeddings[0, 0]) for card in mine}
        assert rows == {float(worker.pid + number) for number in range(6)}
    assert workspace.problems() == workspace.leftovers() == []


def test_threads_can_tag_one_prompt_at_once(workspace):
    workspace.save(prompt())
    threads = [threading.Thread(target=workspace.tag, args=("mood", f"t{i}")) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert workspace.card("mood").tags == tuple(f"t{i}" for i in range(8))


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="kills with a POSIX signal")
def test_a_kill_at_any_moment_leaves_no_half_prompt(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from probe.prompt import SoftPrompt\n"
        "from probe.store import Workspace\n"
        "workspace = Workspace(sys.argv[1])\n"
        "while True:\n"
        "    workspace.save(SoftPrompt('mood', np.ones((50, 2000))))\n"
    )
    workspace = Workspace(tmp_path)
    for delay_s in (0.0, 0.013, 0.04):
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) as writer:
            seen = len(workspace.prompts.ids())
            while len(workspace.prompts.ids()) < seen + 2:
                time.sleep(0.002)
            time.sleep(delay_s)
            writer.send_signal(signal.SIGKILL)
        assert workspace.problems() == []
        assert {card.id for card in workspace.list()} == workspace.prompts.ids()


def test_what_a_killed_process_left_is_ignored_and_later_removed(workspace):
    workspace.save(prompt())
    half = workspace.prompts.root / f"{TEMPORARY_PREFIX}abc"
    (half / "prompt").mkdir(parents=True)
    (half / "prompt" / "card.json").write_text("{")
    assert [c.id for c in workspace.list()] == ["mood@1"]
    assert workspace.problems() == []
    assert workspace.remove_leftovers() == []  # it may still have a writer
    hours_ago = time.time() - 2 * HOUR_S
    os.utime(half, (hours_ago, hours_ago))
    assert workspace.remove_leftovers() == [half]
    assert not half.exists() and workspace.get("mood")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    keep_file(path, b"old")
    with pytest.raises(TypeError):
        keep_file(path, "text is not bytes")
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


# Cached arrays


class Counted:
    """Arrays that know how often they were computed."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"a": np.arange(2000.0).reshape(40, 50), "b": np.array([True, False])}


def any_arrays(arrays):
    return True


def test_arrays_are_computed_once_per_key(workspace):
    compute = Counted()
    for key in ("x", "x", "y", "x"):
        arrays = workspace.cached_arrays(key, compute, any_arrays)
        np.testing.assert_array_equal(arrays["a"], Counted()()["a"])
        assert arrays["b"].tolist() == [True, False] and set(arrays) == {"a", "b"}
    assert compute.calls == 2


def _kept(workspace):
    (path,) = workspace.cache.iterdir()
    return path


def test_a_damaged_cache_is_computed_again(workspace):
    compute = Counted()
    workspace.cached_arrays("x", compute, any_arrays)
    whole = _kept(workspace).read_bytes()
    damaged = [whole[:n] for n in range(0, len(whole), 997)]
    damaged += [
        whole[:n] + bytes([whole[n] ^ 0x5A]) + whole[n + 1 :] for n in range(30, 16000, 777)
    ]
    assert len(damaged) > 30
    for data in damaged:
        _kept(workspace).write_bytes(data)
        arrays = workspace.cached_arrays("x", compute, any_arrays)
        np.testing.assert_array_equal(arrays["a"], Counted()()["a"])
        assert arrays["b"].tolist() == [True, False]
    assert compute.calls > len(damaged) // 2
    assert len(list(workspace.cache.iterdir())) == 1


class Bomb:
    def __reduce__(self):
        return (open, ("/nowhere/at/all", "w"))


def test_a_cache_is_never_unpickled(workspace):
    compute = Counted()
    workspace.cached_arrays("x", compute, any_arrays)
    np.savez(_kept(workspace), a=np.array([Bomb()], dtype=object))
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickle.dumps(Bomb()))  # the trap is armed
    assert workspace.cached_arrays("x", compute, any_arrays)["b"].tolist() == [True, False]
    assert compute.calls == 2


def test_a_cache_that_cannot_be_written_costs_only_time(workspace):
    workspace.root.mkdir()
    workspace.cache.write_text("a file in the way")
    assert set(workspace.cached_arrays("x", Counted(), any_arrays)) == {"a", "b"}


def test_the_card_on_disk_is_plain_json(workspace):
    card = workspace.save(prompt("Gefühl", task="ü"))
    document = json.loads((workspace.prompts.root / card.id / "card.json").read_text("utf-8"))
    assert document == card.to_json() and document["name"] == "Gefühl"
    assert Path(workspace.prompts.root / card.id).is_dir()


def test_a_workspace_that_is_given_is_the_one_that_is_used(tmp_path):
    """With whatever was closed to it, as the public demo's."""
    given = Workspace(tmp_path)
    given.prompts.publish = None
    assert Workspace(given) is given and given.prompts.publish is None
    assert Workspace(tmp_path) is not given
