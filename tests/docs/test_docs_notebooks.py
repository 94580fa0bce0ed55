"""The notebooks run from their first cell to their last, and were saved with what they print."""

import nbformat
import pytest

pytest.importorskip("nbclient")

from tests.docs.notebooks import NOTEBOOKS, executed


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the suite has other workers
    executed(path, steps=2)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_was_saved_with_outputs_and_stays_small(path):
    cells = [one for one in nbformat.read(path, as_version=4).cells if one.cell_type == "code"]
    assert sum(bool(one.outputs) for one in cells) >= len(cells) / 2
    assert path.stat().st_size < 120_000
