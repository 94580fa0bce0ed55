"""Hub data sets through the `datasets` library, from folders on disk: no network."""

import pytest

from probe.datasets import load_task
from probe.errors import DataError
from probe.task import Example

datasets = pytest.importorskip("datasets")
TASK = 'label_words = ["bad", "good"]\nlabel_names = ["neg", "pos"]\n[hub]\nid = "{id}"\n'


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The library's cache lies in the test's folder, and it draws no progress bars."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def test_a_folder_of_data_files_is_a_data_set(write, tmp_path):
    write("set/train.csv", "text,label\n" + "".join(f"row {n},{n % 2}\n" for n in range(20)))
    write("set/test.csv", "text,label\nfine,1\n")
    task = load_task(write("task.toml", TASK.replace("{id}", str(tmp_path / "set"))))
    assert (len(task.train), len(task.validation)) == (18, 2)
    assert task.test == [Example("fine", 1)]


def test_named_classes_find_their_label_whatever_their_number(write, tmp_path):
    """The data set numbers its classes the other way round."""
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "y": datasets.ClassLabel(names=["pos", "neg"])}
    )
    rows = datasets.Dataset.from_dict({"sentence": ["good one", "bad one"], "y": [0, 1]}, features)
    datasets.DatasetDict({"train": rows, "dev": rows}).save_to_disk(tmp_path / "saved")
    more = '[hub.columns]\ntext = "sentence"\nlabel = "y"\n[hub.splits]\nvalidation = "dev"\n'
    task = load_task(write("task.toml", TASK.replace("{id}", str(tmp_path / "saved")) + more))
    assert task.train == [Example("good one", 1), Example("bad one", 0)]
    assert task.validation == task.train


def test_a_hidden_label_is_refused_with_its_row(write, tmp_path):
    write("set/train.csv", "text,label\nfine,1\nwhat,-1\n")
    file = write("task.toml", TASK.replace("{id}", str(tmp_path / "set")))
    with pytest.raises(DataError, match=r"set train, row 2: expected 'label' .* found -1"):
        load_task(file)


def test_a_split_that_is_not_there_is_named_with_those_that_are(write, tmp_path):
    write("set/train.csv", "text,label\nfine,1\n")
    text = TASK.replace("{id}", str(tmp_path / "set")) + '[hub.splits]\ntest = "exam"\n'
    with pytest.raises(DataError, match=r"the splits train, validation, exam, found train"):
        load_task(write("task.toml", text))


def test_a_data_set_that_cannot_be_had_says_what_else_to_do(write, tmp_path):
    file = write("task.toml", TASK.replace("{id}", str(tmp_path / "absent")))
    with pytest.raises(DataError, match="cannot be loaded .* --data-dir"):
        load_task(file)
