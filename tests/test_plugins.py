"""What an installed distribution adds is there by name; one that is broken costs a line."""

import importlib
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import probe
from probe.analysis.compare import MEASURES
from probe.datasets import load_task, task_names
from probe.errors import NotComparableError, PromptFormatError
from probe.formats import FORMATS, load, save
from probe.notes import collected
from probe.prompt import KVPrefix, SoftPrompt

Install = Callable[..., None]
ROOT = Path(__file__).parent.parent
TASK = """
label_words = ["no", "yes"]
template = "{text} ?"
"""
MODULE = """
import json
from pathlib import Path

import numpy as np
from probe.formats import Format
from probe.measures import MeasureFacts
from probe.prompt import SoftPrompt

TASK = Path(__file__).parent / "asking"


def first_rows(prompts):
    rows = np.stack([rows[0] for rows in prompts])
    return np.linalg.norm(rows[:, None] - rows[None], axis=2)


def read(content):
    document = content.value
    if not (isinstance(document, dict) and "lab_rows" in document):
        return None
    return [SoftPrompt(content.name, np.array(document["lab_rows"]))]


def write(prompt, path):
    path.write_text(json.dumps({"lab_rows": prompt.embeddings.tolist()}))


MEASURE = MeasureFacts("distance of the first rows", "table", False, first_rows)
BROKEN = MeasureFacts("fails", "table", of_rows=lambda prompts: 1 / 0)
UNEVEN = MeasureFacts("of the wrong shape", "table", of_rows=lambda prompts: np.ones(3))
LAYOUT = Format(read, write)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """A distribution as pip leaves it: its module, and a dist-info folder that lists it."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def lay_down(points: str, module: str = MODULE, name: str = "lab_tools") -> None:
        info = site / f"{name}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(points)
        (site / f"{name}.py").write_text(module)
        monkeypatch.syspath_prepend(str(site))  # a path anew, so that what was found is forgotten
        importlib.invalidate_caches()

    yield lay_down
    for name in ("lab_tools", "lab_prompts"):
        sys.modules.pop(name, None)


def prompts(width: int = 3) -> list[SoftPrompt]:
    rows = np.arange(4.0 * width).reshape(4, width)
    return [SoftPrompt(name, rows * scale) for name, scale in (("a", 1), ("b", 2), ("c", 3))]


def test_the_example_of_the_documentation_does_what_it_says(
    install: Install, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "extending.md").read_text()
    declared = tomllib.loads(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[0])
    groups = declared["project"]["entry-points"]
    points = "".join(
        f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items())
        for group, entries in groups.items()
    )
    assert set(groups) == {"probe.formats", "probe.measures", "probe.tasks"}
    install(points, re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], "lab_prompts")
    assert "asking" in task_names()
    written = [probe.convert(one, tmp_path / f"{one.name}.json", to="lab") for one in prompts()]
    found = probe.compare(written, "first_row")
    assert found.nearest[0][:2] == (0, 1) and not found.higher_is_closer


def test_a_measure_of_a_distribution_is_one_of_the_names_and_is_computed(install: Install) -> None:
    install("[probe.measures]\nfirst_row = lab_tools:MEASURE\n")
    assert MEASURES.names[-1] == "first_row" and "first_row" in list(MEASURES)
    found = probe.compare(prompts(), "first_row")
    assert not found.higher_is_closer
    assert found.matrix[0, 1] == pytest.approx(np.sqrt(5)) and found.nearest[0][:2] == (0, 1)
    with pytest.raises(NotComparableError, match="first_row needs rows of one embedding table"):
        probe.compare([*prompts(), *prompts(5)], "first_row")


def test_a_format_of_a_distribution_is_read_and_written(install: Install, tmp_path: Path) -> None:
    install("[probe.formats]\nlab = lab_tools:LAYOUT\n")
    written = probe.convert(prompts()[1], tmp_path / "b.json", to="lab")
    (back,) = load(written)
    np.testing.assert_array_equal(back.embeddings, prompts()[1].embeddings)
    assert back.provenance is not None and back.provenance.format == "lab"
    rows = np.zeros((1, 2, 4, 3), np.float32)
    with pytest.raises(PromptFormatError, match="which lab cannot hold: convert it to"):
        save(KVPrefix("p", rows, rows), tmp_path / "p", to="lab")


def test_a_task_of_a_distribution_is_known_by_name(install: Install, tmp_path: Path) -> None:
    install("[probe.tasks]\nasking = lab_tools:TASK\n")
    folder = tmp_path / "site" / "asking"
    folder.mkdir()
    (folder / "task.toml").write_text(TASK)
    rows = [{"text": "is it", "label": 1}, {"text": "was it", "label": 0}]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "asking" in task_names()
    task = load_task("asking", holdout=0)
    assert task.name == "asking" and [one.label for one in task.train] == [1, 0]


BROKEN_MODULES = {
    "no such module": ("[probe.measures]\nx = lab_missing:MEASURE\n", MODULE, "No module named"),
    "no such name": ("[probe.measures]\nx = lab_tools:NOTHING\n", MODULE, "NOTHING"),
    "another kind": ("[probe.measures]\nx = lab_tools:read\n", MODULE, "expected a MeasureFacts"),
    "one of our names": ("[probe.measures]\ncka = lab_tools:MEASURE\n", MODULE, "probe has one"),
    "an import that fails": (
        "[probe.measures]\nx = lab_tools:MEASURE\n",
        "raise RuntimeError('two\\nlines')",
        "two lines",
    ),
    "an import that exits": ("[probe.measures]\nx = lab_tools:MEASURE\n", "exit(3)", "3"),
}


@pytest.mark.parametrize("case", BROKEN_MODULES)
def test_what_is_broken_costs_one_line_and_nothing_else(case: str, install: Install) -> None:
    points, module, why = BROKEN_MODULES[case]
    install(points, module)
    with collected(said=False) as notes:
        assert probe.compare(prompts(), "cka").measure == "cka"
        assert list(MEASURES) == list(MEASURES.builtin)
        assert list(MEASURES) == list(MEASURES.builtin)
    assert len(notes) == 1 and "\n" not in notes[0]
    assert why in notes[0] and "lab_tools 1.2" in notes[0] and "uninstall" in notes[0]


def test_a_damaged_list_of_entry_points_hides_no_other(install: Install) -> None:
    install("[probe.measures]\nnothing at all\n", "", "lab_damaged")
    install("[probe.measures]\nfirst_row = lab_tools:MEASURE\n")
    with collected(said=False) as notes:
        assert "first_row" in MEASURES
    assert [note for note in notes if "lab_damaged" in note and "reinstall" in note]


def test_a_measure_that_fails_at_work_is_one_clear_error(install: Install) -> None:
    install("[probe.measures]\nbad = lab_tools:BROKEN\nuneven = lab_tools:UNEVEN\n")
    with pytest.raises(NotComparableError, match=r"bad, which an installed .* \(ZeroDivisionError"):
        probe.compare(prompts(), "bad")
    with pytest.raises(NotComparableError, match=r"uneven.* gave numbers \(3,\): expected 3 × 3"):
        probe.compare(prompts(), "uneven")


def test_a_reader_that_fails_leaves_the_file_to_ours(install: Install, tmp_path: Path) -> None:
    install(
        "[probe.formats]\nlab = lab_tools:LAYOUT\n",
        "from probe.formats import Format\nLAYOUT = Format(lambda content: 1 / 0)",
    )
    path = save(prompts()[0], tmp_path / "a.safetensors", to="safetensors")
    with collected(said=False) as notes:
        (back,) = load(path)
    np.testing.assert_array_equal(back.embeddings, prompts()[0].embeddings)
    assert ["lab" in note and "division" in note for note in notes] == [True]


def test_every_built_in_entry_leads_to_a_function() -> None:
    for measure in MEASURES.builtin.values():
        assert measure.of_rows is None or callable(measure.function)
    for layout in FORMATS.builtin.values():
        assert callable(layout.reader) and (layout.write is None or callable(layout.writer))


@pytest.mark.parametrize("schema", ["compare", "transfer"])
def test_the_schemas_list_our_measures(schema: str) -> None:
    document = (ROOT / "docs" / "schemas" / f"{schema}.json").read_text()
    for listed in _enumerations(json.loads(document)):
        if "cka" in listed:
            assert sorted(listed) == sorted(MEASURES.builtin)


def _enumerations(document: object) -> Iterator[list[str]]:
    if isinstance(document, dict):
        yield from ([document["enum"]] if isinstance(document.get("enum"), list) else [])
    parts = document.values() if isinstance(document, dict) else document
    for part in parts if isinstance(document, dict | list) else ():
        yield from _enumerations(part)
