"""Every command and snippet of the guides does what the guide says, offline."""

import pytest

from probe.tables.named import smollm2_file
from tests.docs.pages import DOCS, figures_made, run, snippets

PAGES = [DOCS / "index.md", DOCS / "tour.md", *sorted((DOCS / "guides").glob("*.md"))]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # PEFT's
@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")  # the Trainer's, without a GPU
@pytest.mark.filterwarnings(r"ignore:::lightning\..*")  # of torch's deprecations, and advice
@pytest.mark.usefixtures("quick_models")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_snippet_of_a_page_runs(page, home, tmp_path, monkeypatch):
    if smollm2_file() is None:
        pytest.skip("smollm2 is not installed")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    seen = {}
    for snippet in snippets(page):
        if not snippet.left_out:
            run(snippet, seen)


def test_the_lines_of_the_gallery_are_those_of_guides_which_run():
    run_elsewhere = {
        words
        for page in PAGES
        for one in snippets(page)
        if not one.left_out
        for words in _parts(one)
    }
    made = list(figures_made(DOCS / "gallery.md"))
    for snippet, picture in made:
        assert set(_parts(snippet)) <= run_elsewhere and picture
    pictures = {path.stem for path in (DOCS / "images" / "gallery").iterdir()}
    assert pictures == {picture for _, picture in made}


def _parts(snippet):
    """Commands line by line, Python as a whole."""
    return snippet.code.splitlines() if snippet.language == "sh" else [snippet.code]


def test_what_is_not_run_says_why():
    left_out = {one.left_out for page in PAGES for one in snippets(page) if one.left_out}
    assert left_out == {
        "needs another machine", "needs a cluster", "needs a server", "needs a container engine",
        "needs a pipe", "needs the TREC questions and minutes",
    }  # fmt: skip
