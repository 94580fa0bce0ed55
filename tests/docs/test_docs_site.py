"""The documentation site builds without a warning, is fresh, and has what README claims."""

import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

import pytest

from tests.docs import python_page
from tests.docs.pages import DOCS

ROOT = DOCS.parent
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)]*)\)")
_NUMBER = re.compile(r"(?<![\w.,/-])\d[\d.,]*\d")
_COMMAND = re.compile(r"\bprobe ([a-z][a-z-]+)")


def test_the_python_page_has_every_function_and_argument():
    written = python_page.PAGE.read_text(encoding="utf-8")
    assert written == python_page.page(), "run `python -m tests.docs.python_page`"


def test_every_page_of_the_documentation_is_in_the_navigation():
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert named == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {
        str(path.relative_to(DOCS)) for path in (DOCS / "decisions").glob("*.md")
    }


@pytest.mark.parametrize("guide", sorted((DOCS / "guides").glob("*.md")), ids=lambda one: one.stem)
def test_every_guide_has_a_picture_that_is_there(guide):
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", guide.read_text(encoding="utf-8"))
    assert pictures and all((guide.parent / one).is_file() for one in pictures)


@pytest.fixture(scope="module")
def site():
    """The folder of the built site."""
    pytest.importorskip("zensical")
    made = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return ROOT / "site"


@pytest.mark.slow
@pytest.mark.process
def test_no_page_links_to_what_the_site_lacks(site):
    pages = [_Page(site, str(path.relative_to(site))) for path in site.rglob("index.html")]
    dead = {(page.path, one) for page in pages for one in page.links if not (site / one).is_file()}
    assert dead == set()


@pytest.mark.slow
@pytest.mark.process
def test_a_newcomer_finds_each_claim_of_readme_in_two_clicks_from_the_first_page(site):
    first = _Page(site, "index.html")
    clicked = {path: _Page(site, path) for path in first.pages}
    further = {path for page in clicked.values() for path in page.pages} - clicked.keys()
    pages = [first, *clicked.values(), *(_Page(site, path) for path in further)]
    found = " ".join(page.text for page in pages)
    assert [claim for claim in _claims() if claim not in found] == []
    reached = {page.path for page in pages}
    linked = re.findall(r"docs/([\w/-]+)\.md", (ROOT / "README.md").read_text(encoding="utf-8"))
    expected = {"index.html" if one == "index" else f"{one}/index.html" for one in linked}
    assert expected <= reached


def _claims():
    """What README says that can be looked up: commands, figures, and what it prints in bold."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    prose = _LINK.sub("]", _CODE.sub("", readme))
    bold = re.findall(r"\*\*(.+?)\*\*", prose)
    commands = [f"probe {name}" for name in _COMMAND.findall(readme)]
    claims = [*commands, *_NUMBER.findall(prose), *(_plain(one) for one in bold)]
    return list(dict.fromkeys(claims))


def _plain(text):
    return re.sub(r"\s+", " ", re.sub(r"[*`\[\]]", "", text)).strip()


class _Page(HTMLParser):
    """The text of a page's article, and what of the site it links to."""

    def __init__(self, site, path):
        super().__init__()
        self.path, self.links, self._words, self._inside = path, set(), [], False
        self.feed((site / path).read_text(encoding="utf-8"))
        self.text = _plain(unescape("".join(self._words)))

    @property
    def pages(self):
        return sorted(path for path in self.links if path.endswith(".html"))

    def handle_starttag(self, tag, attrs):
        self._inside = self._inside or tag == "article"
        named = dict(attrs).get("href" if tag == "a" else "src") or ""
        target = urldefrag(urljoin(f"/{self.path}", named)).url
        if self._inside and tag in ("a", "img") and target.startswith("/"):
            self.links.add(target[1:] + "index.html" * target.endswith("/"))

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "article"

    def handle_data(self, data):
        if self._inside:
            self._words.append(data)
