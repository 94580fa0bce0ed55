from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from probe.store import Workspace
from probe.verbs import map as lay_out
from tests.browser.conftest import Visit
from tests.hostile import HOSTILE

pytestmark = pytest.mark.browser

_PLACE = """(plot, id) => {
  for (const trace of plot._fullData) {
    const n = (trace.customdata || []).findIndex(own => own[0] === id);
    if (n < 0) continue;
    const {xaxis, yaxis, _size} = plot._fullLayout, box = plot.getBoundingClientRect();
    return [box.x + _size.l + xaxis.d2p(trace.x[n]), box.y + _size.t + yaxis.d2p(trace.y[n])];
  }
}"""
_PAINTED = """plot => [...plot.querySelectorAll('canvas.gl-canvas')].some(canvas => {
  const copy = document.createElement('canvas');
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const pen = copy.getContext('2d');
  pen.drawImage(canvas, 0, 0);
  return pen.getImageData(0, 0, copy.width, copy.height).data.some(value => value > 0);
})"""


def _map(page: Page) -> Locator:
    page.set_viewport_size({"width": 1280, "height": 1700})  # a mouse reaches what is in sight
    chart = page.locator("[class*=st-key-map_] .js-plotly-plot")
    expect(chart.locator(".legend").first).to_be_attached()
    return chart


def _cell(page: Page, row: int, column: int, *, table: int = 0) -> Locator:
    tables = page.get_by_test_id("stDataFrame")
    return tables.nth(table).get_by_test_id(f"glide-cell-{column}-{row}")


def _lasso(page: Page, chart: Locator) -> None:
    """Draw a line around all points."""
    box = chart.locator(".nsewdrag").bounding_box()
    assert box is not None
    left, top = box["x"] + 2, box["y"] + 2
    right, bottom = left + box["width"] - 4, top + box["height"] - 4
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 4)):
        page.mouse.move(x, y, steps=5)
    page.mouse.up()


def test_a_search_leads_to_neighbours_and_another_metric_to_others(visit: Visit) -> None:
    page = visit("/map?p=sst2-text")
    page.get_by_label("Find a token").fill("movies")
    page.get_by_label("Find a token").press("Enter")
    expect(page.get_by_text(re.compile("contains? movies"))).to_be_visible()
    expect(page.get_by_role("combobox", name="Look at")).to_have_value(re.compile("movies"))
    expect(page).to_have_url(re.compile(r"at=v"))
    nearest = _cell(page, 0, 0).inner_text(), _cell(page, 0, 1).inner_text()
    page.get_by_role("radio", name="l2").last.click()
    expect(page.get_by_text("Nearest tokens by L2 distance")).to_be_visible()
    expect(_cell(page, 0, 1)).not_to_have_text(nearest[1])
    expect(page).to_have_url(re.compile("nm=l2"))
    expect(page.get_by_text("WebGL is not supported")).to_have_count(0)
    assert _map(page).evaluate(_PAINTED)


def test_a_click_shows_original_neighbours_keeps_the_zoom_and_leads_to_decode(
    visit: Visit,
) -> None:
    page = visit("/map?p=hostile%401")
    chart = _map(page)
    chart.evaluate("plot => { plot.marked = true }")
    place = chart.evaluate(_PLACE, "p:0:3")
    page.mouse.move(*place)
    expect(chart.locator(".hoverlayer .hovertext")).to_contain_text("position 3")
    page.mouse.click(*place)
    expect(page).to_have_url(re.compile("at=p%3A0%3A3"))
    expect(_cell(page, 0, 0)).to_have_text(HOSTILE[3])
    assert chart.evaluate("plot => plot.marked")  # the very same chart, not one drawn again
    assert page.evaluate("window.attacked") is None
    page.get_by_role("button", name="Open in Decode").click()
    expect(page.get_by_role("heading", name="Decode")).to_be_visible()
    expect(page.get_by_role("combobox", name="Position")).to_have_value("3")


def test_a_lasso_becomes_a_table_and_a_file(visit: Visit, home: Path) -> None:
    page = visit("/map?p=hostile%401")
    _lasso(page, _map(page))
    mapped = lay_out([Workspace(home).get("hostile@1")], workspace=Workspace(home))
    prompts, tokens = len(mapped.points), len(mapped.background)
    expect(page.get_by_text(f"{prompts + tokens} points selected")).to_be_visible()
    with page.expect_download() as started:
        page.get_by_role("button", name="Selection as CSV").click()
    text = Path(started.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == prompts + tokens
    assert {(r["metric"], r["seed"], r["trustworthiness_sample"]) for r in rows} == {
        ("cosine", "0", str(mapped.trust_sample))
    }
    assert rows[0]["nearest"].split("  ")[0] == mapped.vocabulary.tokens[0]
    page.get_by_role("button", name="Clear the selection").click()
    expect(page.get_by_text("points selected")).to_have_count(0)


def test_a_slow_projection_shows_progress_and_then_itself(visit: Visit) -> None:
    page = visit("/map?p=hostile%401&proj=tsne")
    page.get_by_role("button", name="Compute t-SNE").click()
    expect(page.get_by_text("You may leave this page")).to_be_visible()
    expect(page.get_by_text(re.compile("TSNE of .*seed 0, 15 neighbours"))).to_be_visible(
        timeout=180_000
    )
    page.reload()
    expect(page.get_by_text(re.compile("TSNE of"))).to_be_visible()
