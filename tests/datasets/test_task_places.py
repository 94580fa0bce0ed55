"""A task reads what lies in its own folder, and nothing else of the machine."""

from pathlib import Path

import pytest

from probe.datasets import load_task
from probe.errors import DataError

ROWS = "".join(f'{{"text": "row {n}", "label": {n % 2}}}\n' for n in range(8))
WORDS = 'label_words = ["bad", "good"]\n'


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Somebody's own file."""
    (tmp_path / "outside").mkdir()
    file = tmp_path / "outside" / "train.jsonl"
    file.write_text(ROWS)
    return file


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """The folder of a task without rows."""
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "task.toml").write_text(WORDS)
    return folder


@pytest.mark.parametrize("name", ["../outside/train.jsonl", "{outside}", "rows/../../outside/x"])
def test_a_file_elsewhere_is_refused_by_name(task: Path, outside: Path, name: str) -> None:
    name = name.replace("{outside}", str(outside))
    (task / "task.toml").write_text(f'{WORDS}[files]\ntrain = "{name}"\n')
    with pytest.raises(DataError, match=r"inside the task's folder .* leads to .*outside"):
        load_task(task)


def test_links_that_lead_out_are_refused(task: Path, outside: Path) -> None:
    (task / "train.jsonl").symlink_to(outside)
    with pytest.raises(DataError, match=r"train\.jsonl: expected a file inside .* --data-dir"):
        load_task(task)
    (task / "train.jsonl").unlink()
    (task / "rows").symlink_to(outside.parent)
    (task / "task.toml").write_text(f'{WORDS}[files]\ntrain = "rows/train.jsonl"\n')
    with pytest.raises(DataError, match="inside the task's folder"):
        load_task(task)


def test_a_task_file_that_is_a_link_is_refused_and_what_it_leads_to_not_told(
    task: Path, outside: Path
) -> None:
    (task / "task.toml").unlink()
    (task / "task.toml").symlink_to(outside)
    with pytest.raises(DataError, match="inside the task's folder") as refused:
        load_task(task)
    assert "row 0" not in str(refused.value)


def test_a_data_set_that_is_a_folder_elsewhere_is_refused(task: Path, outside: Path) -> None:
    (task / "set").mkdir()
    (task / "set" / "train.jsonl").symlink_to(outside)
    for place in (outside.parent, task / "set"):
        (task / "task.toml").write_text(f'{WORDS}[hub]\nid = "{place}"\n')
        with pytest.raises(DataError, match="inside the task's folder"):
            load_task(task)


def test_links_within_a_folder_and_to_it_are_followed(task: Path, tmp_path: Path) -> None:
    (task / "rows").mkdir()
    (task / "rows" / "1.jsonl").write_text(ROWS)
    (task / "train.jsonl").symlink_to(task / "rows" / "1.jsonl")
    (tmp_path / "link").symlink_to(task)
    assert len(load_task(tmp_path / "link").train) == 6


def test_a_ring_of_links_is_one_line(task: Path) -> None:
    (task / "train.jsonl").symlink_to(task / "train.jsonl")
    (task / "task.toml").write_text(f'{WORDS}[files]\ntrain = "train.jsonl"\n')
    with pytest.raises(DataError, match=r"train\.jsonl"):
        load_task(task)


def test_a_folder_of_rows_that_the_user_names_is_held_to_the_same(
    task: Path, outside: Path
) -> None:
    rows = outside.parent / "task"
    rows.mkdir()
    outside.rename(rows / "train.jsonl")
    assert len(load_task(task, rows.parent).train) == 6
