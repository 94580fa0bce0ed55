"""The documentation site builds without a warning, and its generated page is fresh."""

import re
import subprocess
import sys

import pytest

from tests.docs import python_page
from tests.docs.pages import DOCS


def test_the_python_page_has_every_function_and_argument():
    written = python_page.PAGE.read_text(encoding="utf-8")
    assert written == python_page.page(), "run `python -m tests.docs.python_page`"


def test_every_page_of_the_documentation_is_in_the_navigation():
    named = set(
        re.findall(r"[\w/-]+\.md", (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8"))
    )
    assert named == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {
        str(path.relative_to(DOCS)) for path in (DOCS / "decisions").glob("*.md")
    }


@pytest.mark.slow
@pytest.mark.process
def test_the_site_builds_without_a_warning():
    pytest.importorskip("zensical")
    made = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert (DOCS.parent / "site" / "guides" / "read" / "index.html").is_file()
