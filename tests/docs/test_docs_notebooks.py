"""The notebooks run from their first cell to their last, and were saved with what they print."""

import ast
import re

import nbformat
import pytest

from tests.docs.notebooks import NOTEBOOKS, badge, public_address, with_badge
from tests.docs.pages import DOCS

_SHORTENED = ((r"steps=\d+", "steps=2"), (r"distill\((.*)\)", r"distill(\1, model='builtin')"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # PEFT's
@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")  # the Trainer's, without a GPU
@pytest.mark.usefixtures("quick_models")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(path, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            source = cell.source
            for found, shorter in _SHORTENED:
                source = re.sub(found, shorter, source)
            _run(source, seen)


def _run(source, seen):
    """Run a cell in this process, which has read the models; show its last value as a page does."""
    *lines, last = ast.parse(source).body
    shown = isinstance(last, ast.Expr) and not source.rstrip().endswith(";")
    exec(compile(ast.Module(lines if shown else [*lines, last], []), "cell", "exec"), seen)
    if shown:
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), seen)
        assert value is None or getattr(value, "_repr_html_", value.__repr__)()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_was_saved_with_outputs_and_stays_small(path):
    cells = [one for one in nbformat.read(path, as_version=4).cells if one.cell_type == "code"]
    assert sum(bool(one.outputs) for one in cells) >= len(cells) / 2
    assert path.stat().st_size < 120_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_badge_is_that_of_the_address_which_pyproject_names(path):
    notebook = nbformat.read(path, as_version=4)
    saved = notebook.cells[0].source
    assert badge(path.name, public_address()) in saved
    on_github = "https://github.com/owner/probe"
    assert with_badge(notebook, path.name, on_github).cells[0].source == saved.replace(
        badge(path.name, public_address()), badge(path.name, on_github)
    )
    assert f"/github/owner/probe/blob/main/docs/notebooks/{path.name})" in notebook.cells[0].source


def test_the_address_is_the_same_wherever_one_is_named():
    address = public_address()
    site = (DOCS.parent / "mkdocs.yml").read_text()
    citation = (DOCS.parent / "CITATION.cff").read_text()
    assert re.findall(r"(?m)^repo_url: (.+)$", site) == ([address] if address else [])
    assert re.findall(r"(?m)^repository-code: (.+)$", citation) == ([address] if address else [])
