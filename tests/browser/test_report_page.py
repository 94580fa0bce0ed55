"""A report in a real browser, with the network off and a vocabulary that attacks it."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from probe import verbs
from probe.formats import save
from probe.prompt import SoftPrompt
from probe.store import Workspace
from tests.browser.dashboard import WAIT_S
from tests.hostile import prompt_rows, write_hostile_model

pytestmark = pytest.mark.browser
A4 = {"width": 703, "height": 1020}
"""Printable pixels of a page at 96 per inch, margins of 12 and 14 mm left out."""

_DRAWN = """() => {
  const places = [...document.querySelectorAll(".figure")];
  return places.length >= 4 && places.every(place => place.dataset.drawn === "yes");
}"""
_CUT = """() => [...document.querySelectorAll("body *")].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width && !one.closest("svg.main-svg") && box.right > innerWidth + 1;
}).map(one => one.tagName + "." + one.className)"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("report")
    model = str(write_hostile_model(home / "model"))
    files = []
    for number in range(3):
        rows = prompt_rows() + number / 20
        prompt = SoftPrompt(f"<b>bold</b> $x$ {number}", rows, base_model=model)
        files.append(save(prompt, home / f"p{number}.safetensors", to="safetensors"))
    verbs.report(files, home / "page.html", workspace=Workspace(home))
    return home / "page.html"


def test_figures_are_drawn_offline_nothing_is_fetched_and_paper_cuts_nothing(
    chromium: Browser, page_file: Path, tmp_path: Path
) -> None:
    context = chromium.new_context(viewport=A4, color_scheme="dark", offline=True)
    context.set_default_timeout(1000 * WAIT_S)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    page.wait_for_function(_DRAWN)
    assert page.locator("#map-0 .scatterlayer path.point").count() > 13 * 3
    assert page.locator("#similarity-0 text", has_text="<b>bold</b>").count() > 0
    assert page.evaluate("window.attacked") is None
    light = "getComputedStyle(document.querySelector('#map-0 .xtick text')).fill"
    assert page.evaluate(light) == "rgb(232, 236, 240)"
    words = page.locator("#map-0 .annotation-text").evaluate_all(
        "all => all.map(one => getComputedStyle(one).fill)"
    )
    assert set(words) <= {"rgb(16, 21, 26)"}  # on grey, whatever the page
    page.emulate_media(media="print")
    assert page.evaluate(light) == "rgb(0, 0, 0)"
    assert page.evaluate(_CUT) == []
    assert page.pdf(path=tmp_path / "page.pdf", format="A4").startswith(b"%PDF")
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()]
