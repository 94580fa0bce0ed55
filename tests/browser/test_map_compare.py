from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from probe.store import Workspace
from probe.verbs.comparing import compare
from probe.verbs.comparing import map as lay_out
from probe.verbs.decoding import decode
from tests.browser.conftest import Visit
from tests.browser.dashboard import WAIT_S, settled
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
    # The first chart of a browser waits for Plotly and for WebGL in software.
    expect(chart.locator(".legend").first).to_be_attached(timeout=3000 * WAIT_S)
    return chart


def _cell(page: Page, row: int, column: int, *, table: int = 0) -> Locator:
    tables = page.get_by_test_id("stDataFrame")
    return tables.nth(table).get_by_test_id(f"glide-cell-{column}-{row}")


def _lasso(page: Page, chart: Locator) -> None:
    """Draw a line around all points."""
    chart.locator("[data-title='Lasso Select']").click()
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
    expect(page.get_by_role("combobox", name="Inspect")).to_have_value(re.compile("movies"))
    expect(page).to_have_url(re.compile(r"at=v"))
    nearest = _cell(page, 0, 0).inner_text(), _cell(page, 0, 1).inner_text()
    page.get_by_role("radio", name="L2").click()
    expect(page.get_by_text("Nearest tokens by L2 distance")).to_be_visible()
    expect(_cell(page, 0, 1)).not_to_have_text(nearest[1])
    expect(page).to_have_url(re.compile("m=L2"))
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
    settled(page)
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


def test_a_pasted_address_restores_the_map(visit: Visit) -> None:
    page = visit("/map?p=sst2-text&p=trec-text&at=p:1:5&m=l2&seed=3&q=world")
    for _ in range(2):
        expect(page.get_by_text("L2 distance, seed 3")).to_be_visible()
        look = page.get_by_role("combobox", name="Inspect")
        expect(look).to_have_value("trec-text, position 5")
        expected = decode("trec-text", metric="l2", k=1, controls=False).positions[5]
        expect(_cell(page, 0, 0)).to_have_text(expected.neighbours[0].token)
        expect(page.get_by_label("Find a token")).to_have_value("world")
        page.reload()
        settled(page)


def test_a_slow_projection_begins_at_once_and_then_shows_itself(visit: Visit) -> None:
    page = visit("/map?p=hostile%401&proj=tsne")
    expect(page.get_by_text("You may leave this page")).to_be_visible()
    expect(page.get_by_text(re.compile("t-SNE of .*seed 0, perplexity 15"))).to_be_visible(
        timeout=180_000
    )
    page.reload()
    expect(page.get_by_text(re.compile("t-SNE of"))).to_be_visible()


def test_the_map_s_page_to_take_along_says_how_it_was_made(visit: Visit, tmp_path: Path) -> None:
    page = visit("/map?p=hostile%401&m=l2")
    settled(page)
    with page.expect_download() as started:
        page.locator(".st-key-export_html button").click()
    started.value.save_as(tmp_path / "map.html")
    opened = page.context.new_page()
    opened.goto((tmp_path / "map.html").as_uri())
    expect(opened.get_by_text(re.compile(r"L2 distance, seed 0\. Trustworthiness"))).to_be_visible()
    expect(opened.locator(".js-plotly-plot")).to_have_count(2)
    assert opened.evaluate("window.attacked") is None


def test_two_rows_of_the_library_lead_to_their_comparison(visit: Visit) -> None:
    page = visit("/library")
    expect(_cell(page, 1, 1)).to_be_attached()
    box = page.get_by_test_id("stDataFrame").first.bounding_box()
    assert box is not None
    rows = (1, 3)  # the sample between them is a prefix
    names = [_cell(page, row, 1).inner_text() for row in rows]
    for row in rows:
        page.mouse.click(box["x"] + 18, box["y"] + 35 * (row + 1) + 17)
    expect(page.get_by_role("heading", name="2 prompts selected")).to_be_visible()
    page.get_by_role("button", name="Compare them").click()
    value = compare(names).nearest[0][2]
    expect(
        page.get_by_role("heading", name=f"{names[0]} and {names[1]}: {value:.3g}.")
    ).to_be_visible()
    expect(page).to_have_url(re.compile(f"p={names[0]}&p={names[1]}"))


def test_a_cell_of_the_matrix_shows_its_two_prompts(visit: Visit) -> None:
    names = ["sst2-text", "trec-text", "agnews-vocab"]
    # The nearest pair is shown before any click, and what is shown anyway is not in the address.
    first, second = (1, 2) if compare(names).nearest[0][0] == 0 else (0, 1)
    page = visit("/compare?" + "&".join(f"p={name}" for name in names))
    page.set_viewport_size({"width": 1280, "height": 1700})
    chart = page.locator(".st-key-matrix .js-plotly-plot")
    point = """([plot, first, second]) => {
      const trace = plot._fullData.at(-1);  // the cells, above the tree and the tasks
      const n = trace.customdata.findIndex(c => c[0] == first && c[1] == second);
      const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
      return [box.x + xaxis._offset + xaxis.d2p(trace.x[n]),
              box.y + yaxis._offset + yaxis.d2p(trace.y[n])];
    }"""
    expect(chart.locator(".points").first).to_be_attached()
    place = page.evaluate(point, [chart.element_handle(), first, second])
    page.mouse.move(*place)
    expect(chart.locator(".hoverlayer .hovertext")).to_contain_text(names[first])
    page.mouse.click(*place)
    expect(page.get_by_role("combobox", name="First prompt")).to_have_value(names[first])
    expect(page.get_by_role("combobox", name="Second prompt")).to_have_value(names[second])
    expect(page).to_have_url(re.compile(f"a={names[first]}"))
    settled(page)
    with page.expect_download() as started:
        page.locator(".st-key-export_json button").click()
    document = json.loads(Path(started.value.path()).read_text(encoding="utf-8"))
    assert document["matrix"] == compare(names).matrix.tolist()
    assert document["made_with"]["prompts"] == 3


def test_dark_and_on_a_telephone_nothing_is_cut_off(visit: Visit) -> None:
    page = visit("/")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("map?p=hostile%401&at=p:0:1", "compare?p=sst2-text&p=trec-text"):
        page.goto(page.url.partition("?")[0].rstrip("/").removesuffix("/map") + "/" + path)
        settled(page)
        expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(18, 22, 27)")
        main = page.get_by_test_id("stMain")
        assert main.evaluate("node => node.scrollWidth - node.clientWidth") <= 0
