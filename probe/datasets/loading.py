"""From a task's name or file to the task with its examples."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from probe.datasets.bare import bare_definition, is_data_file, renamed, require_words, reworded
from probe.datasets.definition import TASK_FILE, Definition, read_definition, require_inside
from probe.datasets.examples import SHARE, Columns, split_validation, to_examples
from probe.datasets.hub import SPLITS, load_hub
from probe.datasets.paper import PAPER_TASKS
from probe.datasets.rows import DataRow, read_rows
from probe.errors import DataError
from probe.paths import shipped
from probe.plugins import Registry
from probe.task import Example, LabelWords, Task, TaskMetric, columns_of
from probe.texts import did_you_mean

_STEMS = {"train": ("train",), "validation": ("validation", "dev"), "test": ("test",)}
_SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet")

Rows = Mapping[str, Iterable[DataRow]]

TASKS: Registry[str | Path] = Registry("probe.tasks", (str, Path), {})
"""Tasks that distributions add: an entry point in the group `probe.tasks` is the path of a folder
with a `task.toml` and its rows."""


def load_task(
    task: str | Path,
    data_dir: str | Path | None = None,
    *,
    holdout: float = SHARE,
    text_column: str | None = None,
    label_column: str | None = None,
    label_words: LabelWords = (),
    template: str | None = None,
) -> Task:
    """A task with its training, validation and test examples.

    Where a task has no validation examples, a share of the training ones becomes them, always the
    same ones (`split_validation`). A task without test examples has none.

    Args:
        task: a task file (`task.toml`), the folder of one, or a name: one of the paper's tasks
            (`sst2`, `sst5`, `agnews`, `subj`, `trec`) or of those that come with `probe`. Or a
            data file, whose labels are what its rows say.
        data_dir: a folder of data sets; the rows are read from its folder of the task's name, from
            `train`, `validation` or `dev`, and `test`, as `.jsonl`, `.csv`, `.tsv` or `.parquet`.
            A shipped task that has no folder there keeps its own rows. Without it rows come from
            the hub if the task names a data set there (the paper's tasks do), else from beside the
            task file.
        holdout: the share that validates; 0 leaves all to training, or to the folds made of it.
        text_column: the column that is the text, in place of the task's own or `text`.
        label_column: the column that is the label, likewise.
        label_words: one per label, or a list of several, in place of the task's own or of the
            labels themselves.
        template: the one that will be filled, whose columns every row must have; the task's own
            when None.

    Raises:
        DataError: there is no such task, or its rows cannot be read.
        MissingExtraError: the rows need a library that is not installed.
    """
    if is_data_file(task):
        path = Path(task)
        bare = renamed(list(read_rows(path)), text_column=text_column, label_column=label_column)
        definition = reworded(bare_definition(path, bare), label_words, where=str(path))
        require_words(definition, where=str(path))
        return _assemble(definition, {"train": bare}, definition.columns, holdout, template)
    definition, folder = _find(task)
    definition = reworded(definition, label_words, where=f"task {definition.name}")
    if data_dir is not None:
        given = Path(data_dir) / definition.name
        keeps = _named_folder(task) is not None and not given.is_dir()
        folder = folder if keeps else given
    if folder is not None:
        rows: Rows = _files(definition, folder)
        columns = definition.columns
    else:
        assert definition.hub is not None
        rows, columns = load_hub(definition.hub), definition.hub.columns
    columns = replace(
        columns, text=text_column or columns.text, label=label_column or columns.label
    )
    return _assemble(definition, rows, columns, holdout, template)


def load_wording(task: str | Path) -> Task:
    """A task without its examples: its template, label words and metric; no rows are read.

    Raises:
        DataError: there is no such task.
    """
    if is_data_file(task):  # here the rows are the only ones to tell
        rows = renamed(list(read_rows(Path(task))), text_column=None, label_column=None)
        definition = bare_definition(Path(task), rows)
    else:
        definition, _ = _find(task)
    return _assemble(definition, {}, definition.columns, 0.0)


def task_name(task: str | Path) -> str:
    """What a task is called, without a look at its rows.

    Raises:
        DataError: there is no such task.
    """
    return Path(task).stem if is_data_file(task) else _find(task)[0].name


def task_names() -> tuple[str, ...]:
    """The tasks that are known by name: the paper's, those shipped, and those distributions add."""
    own = (*PAPER_TASKS, *_shipped_tasks())
    return (*own, *(name for name in TASKS.names if name not in own))


def _find(task: str | Path) -> tuple[Definition, Path | None]:
    """The definition, and the folder of its files unless its rows lie on the hub."""
    if task in PAPER_TASKS:
        return PAPER_TASKS[str(task)], None
    path = _named_folder(task) or Path(task)
    file = path / TASK_FILE if path.is_dir() else path
    if file.suffix != ".toml" or not file.is_file():
        raise DataError(
            f"task {task}: expected one of {', '.join(task_names())}, a folder with a {TASK_FILE}, "
            f"a task file or a data file{did_you_mean(str(task), task_names())}"
        )
    if path.is_dir():
        require_inside(path, file)
    definition = read_definition(file)
    if definition.hub is not None and os.path.exists(definition.hub.id):
        require_inside(file.parent, Path(definition.hub.id))
    return definition, file.parent if definition.hub is None else None


def _named_folder(task: str | Path) -> Path | None:
    """The folder of a task that is known by name; None for the paper's, and for paths."""
    shipped_tasks = _shipped_tasks()
    if task in shipped_tasks:
        return shipped_tasks[str(task)]
    named = isinstance(task, str) and task in TASKS.names and task in TASKS
    return Path(TASKS[str(task)]) if named else None


def _shipped_tasks() -> dict[str, Path]:
    samples = shipped("sample_prompts")
    files = sorted((samples / "tasks").glob(f"*/{TASK_FILE}")) if samples else []
    return {file.parent.name: file.parent for file in files}


def _files(definition: Definition, folder: Path) -> Rows:
    """The rows of every split that has a file."""
    rows = {}
    for split in SPLITS:
        if split in definition.files:
            rows[split] = read_rows(require_inside(folder, folder / definition.files[split]))
            continue
        names = [stem + suffix for stem in _STEMS[split] for suffix in _SUFFIXES]
        found = [name for name in names if (folder / name).is_file()]
        if len(found) > 1:
            raise DataError(
                f"{folder}: expected one file of {split} examples, found {', '.join(found)}"
            )
        if found:
            rows[split] = read_rows(require_inside(folder, folder / found[0]))
    if not rows:
        raise DataError(
            f"task {definition.name}: expected train.jsonl, test.jsonl or the like in {folder}, "
            f"found {'neither' if folder.is_dir() else 'no such folder'}"
        )
    return rows


def _assemble(
    definition: Definition,
    rows: Rows,
    columns: Columns,
    holdout: float,
    template: str | None = None,
) -> Task:
    _require_different(definition)
    examples: dict[str, list[Example]] = {}
    for split in rows:
        examples[split] = to_examples(
            rows[split],
            definition.kind,
            definition.labels,
            columns,
            asked=columns_of(template or definition.template),
        )
        if not examples[split]:
            raise DataError(f"task {definition.name}: expected {split} examples, found no rows")
    if "validation" not in examples:
        train, validation = split_validation(examples.get("train", []), share=holdout)
        examples |= {"train": train, "validation": validation}
    default: TaskMetric = "accuracy" if definition.kind == "classification" else "exact_match"
    try:
        return Task(
            definition.name,
            definition.kind,
            template=definition.template,
            label_words=definition.label_words,
            synonyms=definition.synonyms,
            metric=definition.metric or default,
            source=definition.source,
            licence=definition.licence,
            train=examples.get("train", ()),
            validation=examples.get("validation", ()),
            test=examples.get("test", ()),
        )
    except ValueError as error:
        raise DataError(str(error)) from error


def _require_different(definition: Definition) -> None:
    """Refuse labels of one name: a row that names it could mean either."""
    names = definition.labels
    if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise DataError(
            f"task {definition.name}: expected labels that differ, found {twice!r} twice: give "
            "every label a word of its own"
        )
