"""The notebooks of the documentation, executed as a reader would.

`python -m tests.docs.notebooks` runs them anew and saves what they print.
"""

import nbformat

from tests.docs.pages import DOCS

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
_MOST_LETTERS = 20_000
"""Of one output; a figure's data is left out, its place says so."""


def executed(path):
    """The notebook with what its cells print.

    Raises:
        CellExecutionError: a cell failed.
    """
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=280, kernel_name="python3").execute()
    return notebook


def made_small(notebook):
    """The notebook with outputs as people see them: no warnings, no times, no drawing code."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
        for output in cell.get("outputs", []):
            shown = output.get("data", {})
            for kind in [kind for kind, data in shown.items() if len(str(data)) > _MOST_LETTERS]:
                del shown[kind]
            if "data" in output and not shown:
                output["data"] = {"text/plain": "a figure: run the cell to see it"}
    return notebook


if __name__ == "__main__":
    for path in NOTEBOOKS:
        nbformat.write(made_small(executed(path)), path)
