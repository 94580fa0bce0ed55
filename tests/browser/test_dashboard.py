from __future__ import annotations

import csv
import html
import io
import json
import re
from pathlib import Path
from urllib.parse import quote, urljoin

import numpy as np
import pytest
from playwright.sync_api import Download, Locator, Page, expect

from probe.analysis.decoding import Decoding
from probe.store import Workspace, sample_folders
from probe.verbs.decoding import decode
from tests.browser.conftest import Visit
from tests.browser.dashboard import settled
from tests.hostile import HOSTILE

pytestmark = pytest.mark.browser


def _cell(page: Page, row: int, column: int, *, table: int = 0) -> Locator:
    return page.get_by_test_id("stDataFrame").nth(table).get_by_test_id(
        f"glide-cell-{column}-{row}"
    )  # fmt: skip


def _chart(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key} .js-plotly-plot")


def _download(page: Page, ending: str) -> Download:
    settled(page)
    with page.expect_download() as started:
        page.locator(f".st-key-export_{ending} button").click()
    return started.value


def _text(download: Download) -> str:
    return Path(download.path()).read_text(encoding="utf-8")


def test_a_first_visit_leads_from_the_library_to_a_decoding(visit: Visit) -> None:
    page = visit("/library")
    expect(page.get_by_role("heading", name="Library")).to_be_visible()
    expect(page.get_by_text(f"1 of your own and {len(sample_folders())} samples")).to_be_visible()
    expect(_cell(page, 0, 1)).to_have_text("hostile@1")
    expect(_cell(page, 1, 1)).to_have_text("smollm2-agnews-labels")
    page.get_by_test_id("stTopNavLink").filter(has_text="Decode").click()
    expect(page.get_by_role("heading", name="French")).to_be_visible()
    expect(page.get_by_text("of 8 positions are no closer")).to_be_visible()
    first = decode("smollm2-distilled-french").positions[0].neighbours[0].token
    expect(_cell(page, 0, 1)).to_have_text(first)
    expect(_chart(page, "map")).to_be_visible()
    token = page.locator("button[aria-pressed]").nth(3)
    token.click()
    expect(token).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(re.compile("sel=3"))
    page.get_by_text("Is it closer than chance?").click()
    expect(_chart(page, "violins")).to_be_visible()


def test_switching_the_metric_changes_scores_and_address(visit: Visit) -> None:
    page = visit("/decode?p=sst2-text")
    cosine, l2 = (
        decode("sst2-text", metric=m).positions[0].neighbours[0] for m in ("cosine", "l2")
    )
    expect(_cell(page, 0, 2)).to_have_text(str(cosine.score))
    page.get_by_role("radio", name="L2").click()
    expect(page.get_by_text("L2 distance", exact=False).first).to_be_visible()
    expect(_cell(page, 0, 2)).to_have_text(str(l2.score))
    expect(page).to_have_url(re.compile("m=L2"))


def test_an_address_restores_the_view_and_survives_a_reload(visit: Visit) -> None:
    expected = decode("agnews-vocab", metric="dot", k=3, filter=["words"])
    word = expected.positions[0].neighbours[0].token.strip("␣")
    page = visit(f"/decode?p=agnews-vocab&m=dot&k=3&sel=7&f=words&q={quote(word)}")
    for _ in range(2):
        expect(page.get_by_text("dot product · k 3")).to_be_visible()
        expect(_cell(page, 0, 2)).to_have_text(expected.positions[0].neighbours[0].token)
        expect(page.get_by_label("Find a token")).to_have_value(word)
        expect(page.get_by_role("combobox", name="Position")).to_have_value("7")
        labels = [n.token for n in expected.positions[7].neighbours]
        expect(_chart(page, "bars").locator(".ytick text")).to_have_text(labels)
        page.reload()
        settled(page)


def test_clicking_the_map_shows_that_position(visit: Visit) -> None:
    page = visit("/decode?p=sst2-text")
    point = _chart(page, "map").locator(".scatterlayer .points path").nth(5 * 12)
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile("sel=12"))
    labels = [n.token for n in decode("sst2-text").positions[12].neighbours]
    expect(_chart(page, "bars").locator(".ytick text")).to_have_text(labels)


def test_a_good_file_is_read_kept_and_decoded(visit: Visit, tmp_path: Path, home: Path) -> None:
    path = tmp_path / "greeting.npy"
    np.save(path, np.random.default_rng(0).standard_normal((3, 320)).astype(np.float32))
    page = visit("/library")
    page.get_by_role("button", name="Add a prompt").click()
    page.locator("input[type=file]").set_input_files(path)
    expect(_cell(page, 0, 0, table=-1)).to_have_text("greeting")
    page.get_by_label("Base model").last.fill("builtin")
    page.get_by_role("button", name="Add 1 prompt to the library").click()
    expect(page.get_by_text("Added greeting@1.")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_test_id("stTopNavLink").filter(has_text="Decode").click()
    expect(page.get_by_text("greeting@1 · base model builtin")).to_be_visible()
    expect(page.get_by_role("heading", name="of the 3 positions")).to_be_visible()
    Workspace(home).remove("greeting@1")


def test_a_bad_file_is_one_line_and_nothing_is_kept(
    visit: Visit, tmp_path: Path, home: Path
) -> None:
    path = tmp_path / "bad.npy"
    path.write_bytes(b"\x93NUMPY rubbish")
    page = visit("/library")
    page.get_by_role("button", name="Add a prompt").click()
    page.locator("input[type=file]").set_input_files(path)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("bad.npy")
    expect(page.get_by_text("Traceback")).to_have_count(0)
    expect(page.get_by_role("button", name="to the library")).to_have_count(0)
    assert [card.id for card in Workspace(home).list()] == ["hostile@1"]


def test_exports_say_how_they_were_made(visit: Visit) -> None:
    page = visit("/decode?p=opinion-vocab&m=l2&k=4")
    expected = decode("opinion-vocab", metric="l2", k=4)
    rows = list(csv.DictReader(io.StringIO(_text(_download(page, "csv")))))
    assert len(rows) == 20 * 4
    assert {(r["metric"], r["seed"], r["sample_size"]) for r in rows} == {("l2", "0", "1000")}
    assert float(rows[5]["score"]) == expected.positions[1].neighbours[1].score
    document = json.loads(_text(_download(page, "json")))
    assert document == json.loads(json.dumps(expected.to_json()))
    report = _text(_download(page, "html"))
    assert "L2 distance, lower is closer" in report


@pytest.fixture
def hostile(home: Path) -> Decoding:
    return decode(Workspace(home).get("hostile@1"))


def test_hostile_tokens_are_text_in_the_table(visit: Visit, hostile: Decoding) -> None:
    page = visit("/decode?p=hostile%401")
    for row, position in enumerate(hostile.positions[:8]):
        expect(_cell(page, row, 1)).to_have_text(position.neighbours[0].token)
    assert page.evaluate("window.attacked") is None


def test_hostile_tokens_are_text_in_the_charts(visit: Visit, hostile: Decoding) -> None:
    shown = [p.neighbours[0].token for p in hostile.positions]
    for token in (t.replace(" ", "␣") for t in HOSTILE if t.isprintable()):
        assert token in shown
    for sel in (0, 2, 3):
        page = visit(f"/decode?p=hostile%401&sel={sel}")
        label = shown[sel] if len(shown[sel]) <= 16 else shown[sel][:15] + "…"
        expect(_chart(page, "bars").locator(".ytick text").first).to_have_text(label)
        expect(_chart(page, "bars").locator("tspan[style*=bold]")).to_have_count(0)
        expect(_chart(page, "map").locator("tspan[style*=bold]")).to_have_count(0)
        assert page.evaluate("window.attacked") is None
        page.close()


def test_hostile_tokens_are_text_in_the_exports(
    visit: Visit, hostile: Decoding, tmp_path: Path
) -> None:
    page = visit("/decode?p=hostile%401")
    tokens = [p.neighbours[0].token for p in hostile.positions]
    rows = list(csv.DictReader(io.StringIO(_text(_download(page, "csv")))))
    guarded = [f"'{token}" if token[0] in "=@" else token for token in tokens]
    assert [row["token"] for row in rows if row["rank"] == "1"] == guarded
    document = json.loads(_text(_download(page, "json")))
    assert [p["neighbours"][0]["token"] for p in document["positions"]] == tokens
    report = tmp_path / "report.html"
    _download(page, "html").save_as(report)
    opened = page.context.new_page()
    opened.goto(report.as_uri())
    expect(opened.locator("tbody tr")).to_have_count(len(tokens))
    for row, token in enumerate(tokens):
        shown = opened.locator("tbody tr").nth(row).locator("code").first
        expect(shown).to_have_text(token)
    assert opened.evaluate("window.attacked") is None
    assert opened.locator("script, img").count() == 0
    assert html.escape(tokens[0], quote=False) in report.read_text(encoding="utf-8")


def test_hostile_names_are_text_wherever_markdown_is_read(visit: Visit) -> None:
    page = visit("/decode?p=hostile%401&q=**stars**")
    expect(page.get_by_text("1 position has **stars** among the nearest 5.")).to_be_visible()
    page = visit("/decode?p=sst2-text&re=%3Amaterial%2Fhome%3A%5B")
    expect(page.get_by_role("alert")).to_contain_text(":\u2060material/home:\u2060")


def test_a_dark_browser_gets_the_dark_theme(visit: Visit) -> None:
    page = visit("/decode?p=sst2-text")
    page.emulate_media(color_scheme="dark")
    page.reload()
    settled(page)
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(18, 22, 27)")
    page.get_by_text("Is it closer than chance?").click()
    expect(_chart(page, "violins").locator(".ytick text").first).to_be_visible()


def test_a_telephone_shows_every_part_without_scrolling_sideways(visit: Visit) -> None:
    page = visit("/library")
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("library", "decode?p=sst2-text"):
        page.goto(urljoin(page.url, f"/{path}"))
        settled(page)
        expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
        main = page.get_by_test_id("stMain")
        assert main.evaluate("node => node.scrollWidth - node.clientWidth") <= 0


def test_a_ticked_row_is_the_prompt_that_the_other_pages_show(visit: Visit) -> None:
    page = visit("/library")
    expect(_cell(page, 0, 1)).to_have_text("hostile@1")
    box = page.get_by_test_id("stDataFrame").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 18, box["y"] + 35 + 17)
    expect(page.get_by_role("heading", name="hostile@1")).to_be_visible()
    settled(page)
    page.get_by_role("link", name="Decode").click()  # not by the button of the detail
    expect(page.get_by_text("hostile@1 · base model")).to_be_visible()


def test_a_row_opens_its_detail_takes_tags_and_leads_to_decode(visit: Visit, home: Path) -> None:
    page = visit("/library")
    page.set_viewport_size({"width": 1800, "height": 1000})  # only columns in sight have cells
    expect(_cell(page, 0, 1)).to_have_text("hostile@1")
    box = page.get_by_test_id("stDataFrame").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 18, box["y"] + 35 + 17)  # the first row's marker
    expect(page.get_by_role("heading", name="hostile@1")).to_be_visible()
    tags = page.get_by_role("combobox", name="Tags of this prompt")
    expect(_chart(page, "norms")).to_be_visible()
    settled(page)
    tags.click()
    tags.press_sequentially("odd")
    expect(page.get_by_role("listbox")).to_contain_text("odd")
    tags.press("Enter")
    tags.press("Escape")  # an open list hides the rest of the page from assistive technology
    expect(_cell(page, 0, 11)).to_contain_text("odd")
    assert Workspace(home).card("hostile@1").tags == ("odd",)
    page.get_by_role("button", name="Open in Decode").click()
    expect(page.get_by_text("hostile@1 · base model")).to_be_visible()
    expect(page).to_have_url(re.compile("/decode.*p=hostile%401"))
