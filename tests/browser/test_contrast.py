"""Every text of every page stands out from what lies behind it, in both themes (WCAG 2.1, 1.4.3).

What lies behind is looked up in a picture of the page without its text: charts paint bars, cells
and points there that no style sheet tells of.
"""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect

from probe import verbs
from probe.store import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import settled
from tests.trainable import LIGHT

pytestmark = pytest.mark.browser

THEMES = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 27)"}
_WITHOUT_TEXT = """*, ::placeholder { -webkit-text-fill-color: transparent !important }
  svg text { opacity: 0 !important }"""
_FAINT = """async picture => {
  const bytes = Uint8Array.from(atob(picture), one => one.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes]));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  pen.drawImage(image, 0, 0);
  const dot = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    dot.clearRect(0, 0, 1, 1);
    dot.fillStyle = colour;
    dot.fillRect(0, 0, 1, 1);
    return dot.getImageData(0, 0, 1, 1).data;
  };
  const linear = one => one <= 10 ? one / 3294.6 : ((one / 255 + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const parents = one => one ? [one, ...parents(one.parentElement)] : [];
  // That of the quarter of the box that is worst: a line may cross a text, a bar may not end in it.
  const ratio = (x, y, wide, tall, [r, g, b, alpha], opacity) => {
    const behind = pen.getImageData(x, y, wide, tall).data;
    const a = opacity * alpha / 255, found = [];
    for (let i = 0; i < behind.length; i += 4 * Math.ceil(behind.length / 4000)) {
      const back = [...behind.slice(i, i + 3)];
      const seen = [r, g, b].map((one, n) => a * one + (1 - a) * back[n]);
      const [low, high] = [light(back), light(seen)].sort((x, y) => x - y);
      found.push((high + 0.05) / (low + 0.05));
    }
    return found.sort((x, y) => x - y)[Math.floor(found.length / 4)];
  };
  const faint = [];
  const look = (one, text, box, pseudo) => {
    const style = getComputedStyle(one), svg = one instanceof SVGElement, up = parents(one);
    const idle = up.some(each => each.matches('[disabled], [aria-disabled=true]'));
    if (!text || idle || !one.checkVisibility({visibilityProperty: true})) return;
    let [left, top] = [Math.max(box.left, 0), Math.max(box.top, 0)];
    let [right, bottom] = [Math.min(box.right, innerWidth), Math.min(box.bottom, innerHeight)];
    for (const each of up) {
      const free = getComputedStyle(each).overflow === 'visible';
      if (free || each.matches('html, body, #root')) continue;
      const own = each.getBoundingClientRect();
      [left, top] = [Math.max(left, own.left), Math.max(top, own.top)];
      [right, bottom] = [Math.min(right, own.right), Math.min(bottom, own.bottom)];
    }
    if (right - left < 3 || bottom - top < 3) return;
    const above = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    if (one.closest('#root') && above && !above.closest('#root')) return;  // under what is open
    const opacity = up.reduce((all, each) => all * getComputedStyle(each).opacity,
      svg ? +style.fillOpacity : 1);
    if (opacity < 0.05) return;
    const colour = svg ? style.fill : getComputedStyle(one, pseudo).color;
    const bold = style.fontWeight >= 700, symbol = style.fontFamily.includes('Material');
    const least = symbol || parseFloat(style.fontSize) >= (bold ? 18.66 : 24) ? 3 : 4.5;
    const found = ratio(left, top, right - left, bottom - top, rgba(colour), opacity);
    const named = `${found.toFixed(2)} of ${least}: “${text.slice(0, 40)}” ${colour}`;
    if (!(found >= least)) faint.push(named);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const range = new Range();
    range.selectNodeContents(node);
    look(node.parentElement, node.data.trim(), range.getBoundingClientRect());
  }
  for (const one of document.querySelectorAll('input, textarea'))
    look(one, one.value || one.placeholder, one.getBoundingClientRect(),
      one.value ? null : '::placeholder');
  // Tables are painted on canvases, in colours that their frames name.
  for (const table of document.querySelectorAll('[data-testid=stDataFrame] [style*="--gdg-"]'))
    for (const [text, ground] of [['text-dark', 'bg-cell'], ['text-medium', 'bg-cell'],
        ['text-header', 'bg-header'], ['text-bubble', 'bg-bubble'],
        ['text-dark', 'accent-light']]) {
      const named = name => getComputedStyle(table).getPropertyValue(`--gdg-${name}`);
      pen.fillStyle = named('bg-cell');
      pen.fillRect(0, 0, 1, 1);
      pen.fillStyle = named(ground);
      pen.fillRect(0, 0, 1, 1);
      const found = ratio(0, 0, 1, 1, rgba(named(text)), 1);
      if (!(found >= 4.5)) faint.push(`${found.toFixed(2)} of 4.5: ${text} of tables`);
    }
  return faint;
}"""


def _faint(page: Page) -> list[str]:
    """The texts in sight that are too faint, each with its ratio and its colour."""
    style = page.add_style_tag(content=_WITHOUT_TEXT)
    picture = base64.b64encode(page.screenshot(animations="disabled")).decode()
    style.evaluate("style => style.remove()")
    found: list[str] = page.evaluate(_FAINT, picture)
    return found


def _whole(page: Page) -> Page:
    """The page with all its parts unfolded and in sight."""
    page.locator("details:not([open]) summary").evaluate_all("all => all.map(one => one.click())")
    settled(page)
    expect(page.locator("[data-testid=stPlotlyChart]:not(:has(.main-svg))")).to_have_count(0)
    tall = page.locator("[data-testid=stMainBlockContainer]").evaluate("one => one.offsetHeight")
    page.set_viewport_size({"width": 1280, "height": tall + 80})
    return page


def _faint_in_both_themes(page: Page) -> list[str]:
    """The texts that are too faint, with the theme."""
    faint = []
    for theme, colour in THEMES.items():
        page.emulate_media(color_scheme=theme)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", colour)
        for _ in range(4):  # colours fade into one another, and charts follow the page
            if not (found := _faint(page)):
                break
            page.wait_for_timeout(500)
        faint += [f"{page.url}, {theme}: {one}" for one in found]
    return faint


def test_what_opens_over_a_page_stands_out_in_both_themes(visit: Visit) -> None:
    page, faint = visit("/library"), []
    page.get_by_role("combobox", name="Tags").click()
    expect(page.get_by_role("option").first).to_be_visible()
    faint += _faint_in_both_themes(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add a prompt").click()
    expect(page.get_by_test_id("stPopoverBody")).to_be_visible()
    faint += _faint_in_both_themes(page)
    page.keyboard.press("Escape")
    page.get_by_test_id("stTooltipHoverTarget").first.hover()
    expect(page.get_by_test_id("stTooltipContent")).to_be_visible()
    faint += _faint_in_both_themes(page)
    page.get_by_test_id("stMainMenu").click()
    expect(page.get_by_test_id("stMainMenuPopover")).to_be_visible()
    faint += _faint_in_both_themes(page)
    assert faint == []


def test_every_text_stands_out_in_both_themes(visit: Visit, home: Path) -> None:
    task = str(home / "tasks" / "moods")
    run = verbs.train("builtin", task, LIGHT, test_examples=4, workspace=Workspace(home)).run
    page, faint = visit("/library"), []
    for path in (
        "library", "decode?p=hostile%401&beside=Gaussian+control", "map?p=hostile%401&at=p:0:1",
        "compare?p=sst2-text&p=trec-text&p=trec-vocab", "waywardness", f"train?run={run}",
        "train?new=a+text+of+your+own", "", f"runs?run={run}",
    ):  # fmt: skip
        page.goto(urljoin(page.url, f"/{path}"))
        faint += _faint_in_both_themes(_whole(settled(page)))
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert faint + _faint_in_both_themes(page) == []
