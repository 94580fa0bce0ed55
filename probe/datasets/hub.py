"""Hub data sets, through the `datasets` library; a local folder works the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probe.datasets.examples import Columns
from probe.datasets.rows import DataRow
from probe.errors import DataError, MissingExtraError
from probe.hub import ask_once

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class HubSource:
    """Where a task's rows lie on the hub."""

    id: str
    """Data set id (`owner/name`), or a local folder of data files or written by `save_to_disk`."""
    config: str | None = None
    """Configuration (subset) of the data set."""
    revision: str | None = None
    """Branch, tag or commit."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """The data set's own name of a split where it differs: `{"test": "validation"}`."""
    columns: Columns = Columns()


def load_hub(source: HubSource) -> dict[str, Iterator[DataRow]]:
    """The rows of each of our splits that the data set has.

    Numbered classes come out as their names, so a task that lists its labels in another order
    still reads them right.

    Raises:
        MissingExtraError: the `datasets` library is not installed.
        DataError: the data set is not there, cannot be reached or lacks a split.
    """
    loaded = _load(source)
    wanted = {split: source.splits.get(split, split) for split in SPLITS}
    absent = {wanted[split] for split in source.splits} - set(loaded)
    if absent or not set(wanted.values()) & set(loaded):
        raise DataError(
            f"data set {source.id}: expected the splits {', '.join(wanted.values())}, found "
            f"{', '.join(loaded) or 'none'}: name them in the task file's [hub.splits]"
        )
    return {
        split: _rows(f"{source.id} {name}", loaded[name])
        for split, name in wanted.items()
        if name in loaded
    }


def _load(source: HubSource) -> dict[str, Any]:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError(
            "datasets", "datasets", or_else="give the folder of its files with --data-dir"
        ) from error
    try:
        if (Path(source.id) / "dataset_dict.json").is_file():
            return dict(datasets.load_from_disk(source.id))
        _require_answer(source, Path(datasets.config.HF_DATASETS_CACHE))
        loaded = datasets.load_dataset(source.id, source.config, revision=source.revision)
    except Exception as error:  # the library raises what its file systems and parsers raise
        raise DataError(
            f"data set {source.id}: cannot be loaded ({error}): check the id and the network, or "
            "give the folder of its files with --data-dir"
        ) from error
    return dict(loaded)


def _require_answer(source: HubSource, cache: Path) -> None:
    """Ask the hub once for a data set that is not here."""
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError

    cached = cache / source.id.replace("/", "___")
    if constants.HF_HUB_OFFLINE or cached.is_dir() or Path(source.id).exists():
        return
    with suppress(EntryNotFoundError):
        ask_once(source.id, "README.md", revision=source.revision, repo_type="dataset")


def _rows(where: str, table: Any) -> Iterator[DataRow]:
    names = {
        column: feature.names
        for column, feature in table.features.items()
        if hasattr(feature, "names")
    }
    for number, values in enumerate(table, start=1):
        cells = dict(values)
        for column, classes in names.items():
            if isinstance(cells[column], int) and 0 <= cells[column] < len(classes):
                cells[column] = classes[cells[column]]  # -1 marks a hidden label: refused later
        yield DataRow(f"data set {where}, row {number}", cells)
