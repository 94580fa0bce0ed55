"""Every command and snippet of the guides does what the guide says, offline."""

import contextlib
import io
import shlex

import pytest
from typer.testing import CliRunner

from probe.cli.main import app
from probe.tables.named import smollm2_file
from tests.docs.pages import DOCS, snippets

PAGES = [DOCS / "index.md", DOCS / "tour.md", *sorted((DOCS / "guides").glob("*.md"))]
_OURS = ("probe",)
_SHORTENED = ("distill", "train", "wayward", "sweep")
_OPENS_A_WINDOW = ("app", "demo")


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # PEFT's
@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")  # the Trainer's, without a GPU
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_snippet_of_a_page_runs(page, home, tmp_path, monkeypatch):
    if smollm2_file() is None:
        pytest.skip("smollm2 is not installed")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    seen = {}
    for snippet in snippets(page):
        if snippet.left_out:
            continue
        if snippet.language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(snippet.code, page.name, "exec"), seen)
        else:
            for line in snippet.code.splitlines():
                _run(shlex.split(line, comments=True), snippet.options)


def _run(words, options):
    if not words or words[0] not in _OURS or words[1] in _OPENS_A_WINDOW:
        return  # pip and the like; the dashboard has tests of its own
    added = shlex.split(options) if words[1] in _SHORTENED else []
    result = CliRunner().invoke(app, [*words[1:], *added])
    assert result.exit_code == 0, f"{shlex.join(words)}: {result.output}"


def test_what_is_not_run_says_why():
    left_out = {one.left_out for page in PAGES for one in snippets(page) if one.left_out}
    assert left_out == {
        "needs another machine", "needs a cluster", "needs a server", "needs a container engine",
    }  # fmt: skip
