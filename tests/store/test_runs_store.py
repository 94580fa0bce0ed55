"""Run folders: made whole, found by name, read while others write."""

import dataclasses
import errno
import json
import os
import shutil
import threading

import pytest

from probe.errors import WorkspaceError
from probe.store import JobConfig, Status, Workspace, cut_records, read_records

CONFIG = JobConfig(
    kind="train",
    name="mood",
    request={
        "model": "builtin",
        "task": "sst2",
        "training": {"method": "prompt_tuning", "steps": 9},
    },
    created="2026-01-02T03:04:05+00:00",
    command=("probe", "train"),
)
QUEUED = Status("queued", queued_at=1.5)


@pytest.fixture
def runs(tmp_path):
    return Workspace(tmp_path).runs


# Folders


def test_a_run_is_named_after_its_prompt_and_the_time_and_reads_back(runs):
    run = runs.create(CONFIG, QUEUED)
    assert run.id == "mood-20260102-030405"
    again = runs.get(run.id)
    assert (again.config, again.status) == (CONFIG, QUEUED)
    assert again.config.steps == 9


def test_runs_of_one_second_get_folders_of_their_own(runs):
    ids = [runs.create(CONFIG, QUEUED).id for _ in range(3)]
    assert ids == [f"mood-20260102-030405{end}" for end in ("", "-2", "-3")]
    assert [run.id for run in runs] == sorted(ids)


def test_names_that_are_no_folder_names_are_made_ones(runs):
    run = runs.create(dataclasses.replace(CONFIG, name="../a b/c@2"), QUEUED)
    assert run.path.parent == runs.root and "/" not in run.id and "@" not in run.id


def test_the_beginning_of_a_name_is_enough_while_it_is_the_only_one(runs):
    first = runs.create(CONFIG, QUEUED)
    assert runs.get("mood").id == first.id
    second = runs.create(CONFIG, QUEUED)
    assert runs.get(first.id).id == first.id  # though the other begins with it
    with pytest.raises(WorkspaceError, match=f"no single run mood: expected.*{second.id}"):
        runs.get("mood")


@pytest.mark.parametrize("reference", ["", "nobody", ".", ".."])
def test_an_unknown_run_is_said_to_be_unknown(reference, runs):
    runs.create(CONFIG, QUEUED)
    with pytest.raises(WorkspaceError, match="no single run"):
        runs.get(reference)


def test_looking_creates_no_workspace(tmp_path):
    runs = Workspace(tmp_path / "home").runs
    assert runs.ids() == [] and not (tmp_path / "home").exists()


def test_what_is_no_run_is_not_listed(runs):
    run = runs.create(CONFIG, QUEUED)
    (runs.root / "stray").mkdir()
    (runs.root / ".writing-abc").mkdir()
    (runs.root / ".turn").touch()
    assert runs.ids() == [run.id]


def test_a_removed_run_is_gone(runs):
    run = runs.create(CONFIG, QUEUED)
    runs.remove(run)
    assert runs.ids() == [] and list(runs.root.iterdir()) == []


def test_a_discarded_run_is_not_listed_and_comes_back_whole(runs):
    run = runs.create(CONFIG, QUEUED)
    runs.discard(run)
    assert runs.ids() == [] and runs.trash.ids() == [run.id]
    with pytest.raises(WorkspaceError, match="no single run"):
        runs.get(run.id)
    assert runs.recover(run.id).status == QUEUED
    assert runs.ids() == [run.id] and runs.trash.ids() == []
    with pytest.raises(WorkspaceError, match=f"the trash has no single run {run.id}"):
        runs.recover(run.id)


def test_a_run_stays_in_the_trash_where_another_has_its_name(runs):
    run = runs.create(CONFIG, QUEUED)
    runs.discard(run)
    assert runs.create(CONFIG, QUEUED).id == run.id
    with pytest.raises(WorkspaceError, match=f"{run.id} is there again"):
        runs.recover(run.id)
    assert runs.ids() == runs.trash.ids() == [run.id]


def test_the_trash_forgets_after_a_week_and_needs_room(runs, monkeypatch):
    old, new, last = [runs.create(CONFIG, QUEUED) for _ in range(3)]
    runs.discard(old)
    os.utime(runs.trash.get(old.id).path, (1, 1))
    runs.discard(new)
    assert runs.trash.ids() == [new.id]
    full = shutil.disk_usage(runs.root)._replace(free=1 << 20)
    monkeypatch.setattr("probe.store.jobs.shutil.disk_usage", lambda _: full)
    runs.discard(last)
    assert (runs.ids(), runs.trash.ids()) == ([], [new.id])
    os.utime(runs.trash.get(new.id).path, (1, 1))
    Workspace(runs.root.parent).remove_leftovers()
    assert runs.trash.ids() == []


def test_a_run_is_deleted_at_once_where_a_quota_leaves_no_room_for_the_trash(runs, monkeypatch):
    def full(_):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    run = runs.create(CONFIG, QUEUED)
    monkeypatch.setattr("probe.store.jobs.make_private", full)
    runs.discard(run)
    assert (runs.ids(), runs.trash.ids()) == ([], [])


@pytest.mark.parametrize(
    "damage",
    [b"", b"[]", b"{}", b'{"state": "asleep", "queued_at": 1}', b'{"state": "queued", "x": 1}'],
)
def test_a_damaged_status_is_one_clear_error(damage, runs):
    run = runs.create(CONFIG, QUEUED)
    (run.path / "status.json").write_bytes(damage)
    with pytest.raises(WorkspaceError, match="status.json"):
        _ = run.status


def test_readers_never_meet_half_a_status(runs):
    run = runs.create(CONFIG, QUEUED)
    done = threading.Event()

    def write():
        for step in range(300):
            run.write(dataclasses.replace(QUEUED, step=step, message="m" * (step * 37 % 4000)))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not done.is_set():
        status = run.status
        assert len(status.message) == status.step * 37 % 4000
        seen.append(status.step)
    writer.join()
    assert seen == sorted(seen) and run.status.step == 299


def test_a_label_is_one_line_that_can_be_changed_and_taken_away(runs):
    run = runs.create(CONFIG, QUEUED)
    assert run.label == ""
    run.name("  the good\n one ")
    assert runs.get(run.id).label == "the good one"
    run.name("")
    assert run.label == ""
    with pytest.raises(WorkspaceError, match="at most 100 characters, found 101"):
        run.name("x" * 101)


# Records


def _lines(*steps):
    return "".join(json.dumps({"step": step}) + "\n" for step in steps).encode()


def test_a_line_that_is_still_written_is_left_for_later(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert read_records(path) == ([], 0)
    whole = _lines(1, 2)
    path.write_bytes(whole + b'{"step": 3')
    records, offset = read_records(path)
    assert ([record["step"] for record in records], offset) == ([1, 2], len(whole))
    path.write_bytes(whole + _lines(3))
    assert read_records(path, offset) == ([{"step": 3}], len(whole + _lines(3)))


def test_lines_that_are_no_records_are_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(_lines(1) + b"\n[7]\n\xff\xfe\n" + b"[" * 100_000 + b"\n" + _lines(2))
    assert [record["step"] for record in read_records(path)[0]] == [1, 2]


def test_records_after_the_last_checkpoint_are_cut_off_in_place(tmp_path):
    path = tmp_path / "metrics.jsonl"
    cut_records(path, 3)
    assert not path.exists()
    path.write_bytes(_lines(1, 2, 3, 3, 4) + b'{"step": 4, "los')
    before = path.stat().st_ino
    cut_records(path, 3)
    assert path.read_bytes() == _lines(1, 2, 3, 3) and path.stat().st_ino == before
    path.write_bytes(_lines(1) + b'{"st')
    cut_records(path, 5)
    assert path.read_bytes() == _lines(1)
