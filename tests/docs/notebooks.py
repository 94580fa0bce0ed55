"""The notebooks of the documentation, executed as a reader would.

`python -m tests.docs.notebooks` runs them anew and saves what they print, under a badge that opens
them in Colab: from the public address that pyproject.toml names (`[project.urls]`, `Repository`),
through Colab's upload dialog while it names none.
"""

import re
import tomllib

import nbformat

from tests.docs.pages import DOCS

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
_COLAB = "https://colab.research.google.com"
_BADGE = re.compile(r"\[!\[Open in Colab\].*?\.(?= There as here)")
_MOST_LETTERS = 20_000
"""Of one output; a figure's data is left out, its place says so."""


def public_address():
    """Where the repository can be read by everybody; None where pyproject.toml does not say."""
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    return project.get("urls", {}).get("Repository")


def badge(name, address):
    """The sentence by which a notebook is opened in Colab."""
    image = f"[![Open in Colab]({_COLAB}/assets/colab-badge.svg)]"
    if address is None:
        told = f"The badge opens Colab's upload dialog: choose `{name}`."
        return f"{image}({_COLAB}/#upload=true) {told}"
    place = address.removesuffix("/").removesuffix(".git").removeprefix("https://github.com/")
    file = f"{place}/blob/main/docs/notebooks/{name}"
    return f"{image}({_COLAB}/github/{file}) The badge opens it."


def with_badge(notebook, name, address):
    """The notebook, its first cell opened by the badge of today's address."""
    first = notebook.cells[0]
    first.source = _BADGE.sub(lambda _: badge(name, address), first.source)
    return notebook


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
        found = with_badge(made_small(executed(path)), path.name, public_address())
        nbformat.write(found, path)
