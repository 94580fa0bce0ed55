"""What befalls a workspace: kills between two writes, full and read-only disks, flipped bits."""

import dataclasses
import json
import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from probe import formats, jobs
from probe.atomic import TEMPORARY_PREFIX, leftovers, require_new, write_new
from probe.errors import ProbeError, PromptFormatError, WorkspaceError
from probe.prompt import SoftPrompt
from probe.store import Status, Workspace
from probe.store.index import MIGRATIONS, Index
from probe.tables.cache import write_aside
from tests.disks import fill, read_only, small_disk
from tests.store.test_runs_store import CONFIG
from tests.store.test_store_history import RECORD

RNG = np.random.default_rng(6)


def prompt(name="mood", rows=3, **fields):
    return SoftPrompt(name, RNG.standard_normal((rows, 8)), **fields)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"request": {}}),
        ("config.json", {"request": {"model": "builtin", "training": {"steps": "9"}}}),
        ("config.json", {"created": 7}),
        ("config.json", {"kind": "sweep"}),
        ("status.json", {"queued_at": "x"}),
        ("status.json", {"state": "running", "pid": "12"}),
        ("status.json", {"metrics": [1]}),
        ("status.json", {"notes": [3]}),
    ],
)
def test_a_run_whose_documents_have_parts_of_another_kind_hides_no_other(workspace, file, change):
    """Somebody edited them, or a disk did: one line names the file."""
    good, bad = (workspace.runs.create(CONFIG, Status("finished", queued_at=1.5)) for _ in "ab")
    document = json.loads((bad.path / file).read_text()) | change
    (bad.path / file).write_text(json.dumps(document))
    assert [one.run for one in jobs.views(workspace)] == [good.id]
    (problem,) = workspace.problems()
    assert str(bad.path / file) in problem


@pytest.mark.parametrize(
    ("field", "value"), [("value", "0.9"), ("interval", ["a", 1]), ("n", None), ("task", 3)]
)
def test_an_evaluation_with_a_field_of_another_kind_is_named(workspace, field, value):
    workspace.save(prompt())
    workspace.record("mood", RECORD)
    path = workspace.prompts.root / "mood@1" / "evaluations.jsonl"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(WorkspaceError, match=f"line 1 is no evaluation .{field} of another kind"):
        workspace.prompts.history("mood@1")


# Kills


def test_a_kill_between_a_card_and_its_index_entry_is_healed_by_the_next_look(workspace):
    workspace.save(prompt(), tags=["old"])
    workspace.list()
    card = workspace.card("mood")
    before = workspace.stamp()
    changed = dataclasses.replace(card, tags=("new",), note="heard")
    workspace.prompts.rewrite(changed)  # here the process dies
    assert workspace.stamp() != before
    assert Workspace(workspace.root).list() == [changed]
    assert workspace.list("old") == [] and workspace.list("new") == [changed]
    assert [card for card in workspace.list() if card.matches("heard")] == [changed]


def test_a_kill_between_a_record_and_its_index_entry_is_healed_by_the_next_look(workspace):
    workspace.save(prompt())
    workspace.record("mood", RECORD)
    assert workspace.evaluations() == [("mood@1", RECORD)]
    second = dataclasses.replace(RECORD, recorded="2026-01-02T00:00:00+00:00", value=0.9)
    workspace.prompts.append("mood@1", second)  # here the process dies
    assert workspace.evaluations() == [("mood@1", RECORD), ("mood@1", second)]


def test_an_index_without_stamps_is_brought_up_to_files_that_went_on_without_it(workspace):
    card = workspace.save(prompt(), tags=["old"])
    workspace.index.delete()
    with Index(workspace.index.path, MIGRATIONS[:2]).writing() as db:
        row = (card.id, card.name, card.version, card.created, json.dumps(card.to_json()))
        db.execute("INSERT INTO prompts VALUES (?, ?, ?, ?, ?)", row)
    workspace.prompts.rewrite(dataclasses.replace(card, tags=("new",)))
    assert workspace.list("old") == []
    assert [one.tags for one in workspace.list()] == [("new",)]


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="kills with a POSIX signal")
def test_a_killed_convert_leaves_nothing_that_the_next_one_does_not_sweep(tmp_path):
    program = (
        "import os, signal, sys, numpy as np\n"
        "from probe import formats\n"
        "from probe.prompt import SoftPrompt\n"
        "def hook(event, arguments):\n"
        "    if event == 'os.link':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(hook)\n"
        "formats.save(SoftPrompt('a', np.ones((2, 4))), sys.argv[1], to='npy')\n"
    )
    out = tmp_path / "out"
    killed = subprocess.run([sys.executable, "-B", "-c", program, out / "a.npy"], check=False)
    assert killed.returncode == -9
    (left,) = out.iterdir()
    assert leftovers(out) == []  # a moment ago its writer might still have lived
    long_ago = time.time() - 60
    os.utime(left, (long_ago, long_ago))
    formats.save(prompt(), out / "b.npy", to="npy")
    assert [path.name for path in out.iterdir()] == ["b.npy"]


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="needs advisory locks")
def test_what_is_still_being_written_is_no_leftover_however_old(tmp_path):
    program = (
        "import sys, pathlib\n"
        "from probe.atomic import file_aside\n"
        "with file_aside(pathlib.Path(sys.argv[1])) as file:\n"
        "    print('writing', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "slow")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        (aside,) = tmp_path.iterdir()
        os.utime(aside, (0, 0))
        write_new(tmp_path / "quick", b"")
        assert aside.exists()
        writer.kill()
        writer.wait()
    write_new(tmp_path / "next", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["next", "quick"]


def test_leftovers_are_found_in_every_folder_of_the_workspace(workspace):
    places = ("runs/a", "runs/a/checkpoints", "studies/b/prompts", "cache/studies", "tasks")
    for place in places:
        left = workspace.root / place / f"{TEMPORARY_PREFIX}x"
        (left / "deeper" / f"{TEMPORARY_PREFIX}y").mkdir(parents=True)
        os.utime(left, (0, 0))
    assert len(workspace.remove_leftovers()) == len(places)
    assert workspace.leftovers() == []


@pytest.mark.skipif(os.name != "posix", reason="Windows cannot sync a folder")
def test_a_power_cut_finds_a_prompt_whole_or_not_at_all(workspace, monkeypatch):
    """What is synced before the rename, and after it; a file's own content always before."""
    workspace.save(prompt("first"))
    done = []

    def fsync(handle, sync=os.fsync):
        done.append(os.readlink(f"/proc/self/fd/{handle}") if os.path.exists("/proc") else "")
        sync(handle)

    def rename(source, target, *, move=os.rename, **more):
        done.append(f"rename to {target}")
        move(source, target, **more)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    workspace.save(prompt("mood"))
    place = done.index(f"rename to {workspace.prompts.root / 'mood@1'}")
    before = {os.path.basename(path) for path in done[:place]}
    names = {path.name for path in (workspace.prompts.root / "mood@1").iterdir()}
    assert names | {"prompt"} <= before, "written, but not sure to be on the disk"
    assert str(workspace.prompts.root) in done[place:], "its name is not sure to be there"
    done.clear()
    workspace.tag("mood", "film")
    card = next(n for n, path in enumerate(done) if ".writing-" in path)
    assert str(workspace.prompts.root / "mood@1") in done[card:]


# Full and read-only disks


@pytest.mark.process
def test_a_full_disk_keeps_nobody_from_making_space(tmp_path):
    with small_disk(tmp_path / "home") as disk:
        workspace = Workspace(disk)
        workspace.save(prompt("a"))
        workspace.save(prompt("b"))
        run = workspace.runs.create(CONFIG, Status("finished", queued_at=0.0))
        fill(disk)
        assert workspace.remove("a").id == "a@1"
        fill(disk)
        workspace.runs.remove(run)
        assert [card.id for card in workspace.list()] == ["b@1"]
        assert workspace.runs.ids() == []
        hidden = [path for path in disk.rglob(f"{TEMPORARY_PREFIX}*")]
        assert hidden == []


@pytest.mark.process
def test_a_full_disk_is_said_in_one_line_with_its_place_and_leaves_nothing_half(tmp_path):
    with small_disk(tmp_path / "home") as disk:
        workspace = Workspace(disk)
        workspace.save(prompt("a"), tags=["kept"])
        fill(disk)
        for write in (
            lambda: workspace.save(prompt("b", rows=900)),
            lambda: workspace.tag("a", "more"),
            lambda: workspace.record("a", RECORD),
        ):
            with pytest.raises(WorkspaceError, match=f"^disk full at {disk}.*: free space"):
                write()
        assert [(c.id, c.tags) for c in workspace.list()] == [("a@1", ("kept",))]
        with pytest.raises(PromptFormatError, match=f"{disk}/out.npy cannot be written .disk full"):
            formats.save(prompt(rows=900), disk / "out.npy", to="npy")
        assert list(disk.rglob(f"{TEMPORARY_PREFIX}*")) == []
        (disk / "ballast").unlink()
        assert workspace.tag("a", "more").tags == ("kept", "more")


@pytest.mark.process
def test_what_cannot_be_written_can_be_read(workspace, caplog):
    workspace.save(prompt("a"), tags=["film"])
    workspace.record("a", RECORD)
    with read_only(workspace.root):
        assert [card.id for card in workspace.list("film")] == ["a@1"]
        assert [card.id for card in workspace.list() if card.matches("mood a@1")] == []
        assert workspace.evaluations() == [("a@1", RECORD)]
        assert workspace.get("a").name == "a@1"
        with pytest.raises(WorkspaceError, match="cannot be written") as refused:
            workspace.tag("a", "b")
        assert "--rebuild" not in str(refused.value)  # that would delete a healthy index
        with pytest.raises(WorkspaceError, match="cannot be written"):
            workspace.remove("a")
        assert not any("--rebuild" in line for line in workspace.problems())
    assert caplog.text == ""
    assert workspace.tag("a", "b").tags == ("b", "film")


def test_a_busy_index_is_not_called_damaged(workspace, monkeypatch):
    workspace.save(prompt("a"))
    monkeypatch.setattr("probe.store.index._BUSY_S", 0.05)
    with workspace.index.writing():
        other = Workspace(workspace.root)
        assert [card.id for card in other.list()] == ["a@1"]
        with pytest.raises(WorkspaceError, match="in use by another process: try again"):
            other.tag("a", "b")
        assert other.save(prompt("b")).id == "b@1"
    assert [card.id for card in workspace.list()] == ["a@1", "b@1"]


# Damage


@pytest.mark.parametrize("submodule", [None, "decoder"])
def test_a_flipped_bit_in_stored_vectors_is_found_on_load_and_by_the_doctor(submodule, workspace):
    workspace.save(prompt(submodule=submodule))
    assert workspace.problems() == []
    folder = workspace.prompts.root / "mood@1"
    (vectors,) = folder.glob("*.safetensors")
    data = bytearray(vectors.read_bytes())
    data[-5] ^= 1
    vectors.write_bytes(data)
    with pytest.raises(PromptFormatError, match=f"{vectors.name} is not what was stored"):
        workspace.get("mood")
    assert [vectors.name in line for line in workspace.problems()] == [True]
    workspace.remove("mood")
    assert workspace.problems() == []


def test_prompts_stored_before_there_were_digests_load_as_before(workspace):
    workspace.save(prompt())
    (workspace.prompts.root / "mood@1" / "SHA256SUMS").unlink()
    assert workspace.get("mood").name == "mood@1" and workspace.problems() == []


@pytest.mark.parametrize("text", ["", "x\n", "0" * 64 + "  gone\n", "\udcff"])
def test_damaged_digests_are_damage_too(text, workspace):
    workspace.save(prompt())
    sums = workspace.prompts.root / "mood@1" / "SHA256SUMS"
    sums.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(PromptFormatError, match="is not what was stored"):
        workspace.get("mood")


def test_a_flipped_letter_in_a_card_or_a_history_is_found_by_the_doctor(workspace):
    workspace.save(prompt(), note="heard")
    workspace.record("mood", RECORD)
    for name, old, new in (("card.json", "heard", "feard"), ("evaluations.jsonl", "0.8", "0.9")):
        path = workspace.prompts.root / "mood@1" / name
        whole, times = path.read_text(), path.stat()
        path.write_text(whole.replace(old, new, 1))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # a disk leaves no date
        (problem,) = workspace.problems()
        assert "is not what the index holds" in problem
        path.write_text(whole)
        assert workspace.problems() == []


def test_a_damaged_prompt_is_named_passed_over_and_removed(workspace):
    for _ in range(3):
        workspace.save(prompt())
    for card in ("mood@1/card.json", "mood@3/card.json"):
        (workspace.prompts.root / card).write_text("{")
    assert [card.id for card in workspace.list()] == ["mood@2"]
    assert [id_ for id_, _ in workspace.damaged()] == ["mood@1", "mood@3"]
    assert workspace.get("mood@2").name == "mood@2"
    assert [card.id for card in workspace.history("mood")] == ["mood@2"]
    with pytest.raises(WorkspaceError, match="mood@3.*library remove"):
        workspace.get("mood")  # the newest: an older one must not pass for it
    assert workspace.save(prompt()).id == "mood@4"
    assert workspace.remove("mood@1") is None
    shutil.rmtree(workspace.prompts.root / "mood@3")
    assert workspace.problems() == []


def test_a_damaged_log_of_the_index_loses_nothing(workspace):
    workspace.save(prompt("a"))
    with workspace.index.writing():  # a reader keeps SQLite from folding the log in at the end
        pass
    keeper = sqlite3.connect(workspace.index.path)
    keeper.execute("SELECT count(*) FROM prompts").fetchone()
    workspace.save(prompt("b"), tags=["film"])
    wal = workspace.root / "library.sqlite-wal"
    data = bytearray(wal.read_bytes())
    for place in range(40, len(data), 97):
        data[place] ^= 0x10
    keeper.close()
    wal.write_bytes(data)
    (workspace.root / "library.sqlite-shm").unlink(missing_ok=True)
    other = Workspace(workspace.root)
    assert [card.id for card in other.list("film")] == ["b@1"]
    assert [card.id for card in other.list()] == ["a@1", "b@1"]
    assert other.problems() == []


@pytest.mark.parametrize(
    "damage", ["UPDATE prompts SET card = 'x'", "UPDATE prompts SET card = replace(card, 'a', 'e')"]
)
def test_damage_of_the_index_is_never_blamed_on_a_prompt(damage, workspace, caplog):
    workspace.save(prompt("a"))
    with workspace.index.writing() as db:
        db.execute(damage)
    assert [card.id for card in workspace.list()] == ["a@1"]
    assert "doctor --rebuild" in caplog.text and "remove" not in caplog.text
    assert workspace.rebuild() == 1 and workspace.problems() == []


# Cached arrays


def test_a_cache_file_that_does_not_fit_is_computed_again_with_one_line(workspace, caplog):
    def compute():
        return {"a": np.ones(3), "b": np.zeros((2, 2))}

    def fits(arrays):
        return arrays.keys() == {"a", "b"} and bool(np.isfinite(arrays["a"]).all())

    workspace.cached_arrays("x", compute, fits)
    (path,) = workspace.cache.iterdir()
    caplog.set_level(logging.INFO)
    for wrong in ({"c": np.ones(3)}, {"a": np.full(3, np.nan), "b": np.zeros((2, 2))}):
        np.savez(path, **wrong)
        assert set(workspace.cached_arrays("x", compute, fits)) == {"a", "b"}
        assert [path.name in line for line in caplog.messages] == [True]
        caplog.clear()
        workspace.cached_arrays("x", compute, fits)
        assert caplog.messages == []


# Who may look


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_a_workspace_is_its_owners_alone_whatever_the_umask(workspace):
    before = os.umask(0o022)
    try:
        workspace.save(prompt())
        workspace.tag("mood", "film")
        workspace.record("mood", RECORD)
        run = workspace.runs.create(CONFIG, Status("queued", queued_at=0.0))
        run.name("label")
        workspace.cached_arrays("x", lambda: {"a": np.ones(2)}, lambda _: True)
        write_aside(workspace.cache / "tables" / "t", lambda file: file.write(b"x"))
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in workspace.root.rglob("*")}
    assert len(modes) > 10 and stat.S_IMODE(workspace.root.stat().st_mode) == 0o700
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_a_page_is_written_where_nothing_is_even_when_it_is_done(tmp_path):
    page = require_new(tmp_path / "new" / "page.html")
    page.parent.mkdir()
    page.write_text("another's")
    with pytest.raises(ProbeError, match=r"page\.html is there already: choose another"):
        write_new(page, "ours")
    assert page.read_text() == "another's" and list(page.parent.iterdir()) == [page]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_what_is_exported_obeys_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        write_new(tmp_path / "page.html", b"")
        formats.save(prompt(), tmp_path / "a.npy", to="npy")
        formats.save(prompt(), tmp_path / "folder", to="peft")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"page.html": 0o644, "a.npy": 0o644, "folder": 0o755}


def test_a_home_of_nobody_is_one_line(monkeypatch):
    monkeypatch.setenv("PROBE_HOME", "~nobody-of-that-name/x")
    with pytest.raises(WorkspaceError, match="no folder ~nobody-of-that-name/x"):
        Workspace()
