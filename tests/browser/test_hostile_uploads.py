"""Hostile files through the page's own upload field: one line each, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from probe.store import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import settled
from tests.formats.attacks import write_attacks

pytestmark = pytest.mark.browser

# At least one of every family of the attack set; all of them are tried without a page there.
ATTACKS = (
    "builtins.eval",
    "os.system in torch's zip",
    "subprocess.Popen in torch's legacy layout",
    "gadget in mkultra JSON",
    "gadget in KoboldAI zip",
    "gadget in NeMo tar",
    "tensor of 2^60 rows",
    "zip slip ../tensor.npy",
    "tar slip ../w",
    "deflate bomb that hides its size",
    "gzip bomb",
    "a billion laughs",
    "deep lists",
    "npy NaN",
    "safetensors header of 2^60",
    "safetensors cut short",
    "adapter: deep configuration",
)
ROWS = {
    "deep.jsonl": b'{"text":' * 100_000,
    "nan.jsonl": b'{"text": "a", "label": NaN}\n' * 3,
    "cut.jsonl": b'{"text": "a", "label": 1}\n{"text": "b", "la',
    "bytes.csv": b"text,label\n\xff\xfe\x00,1\n",
    "one_long_field.csv": b'text,label\n"' + b"a" * 3_000_000,
}


def _push(page: Page, field: Locator, path: Path) -> str:
    """Upload a file or the files of a folder; returns what the page says of it."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    field.set_input_files(files)
    said = page.get_by_role("alert")
    expect(said).to_have_count(1)
    settled(page)
    words = said.get_by_test_id("stMarkdownContainer").inner_text()
    for _ in files:
        page.get_by_test_id("stFileChipDeleteBtn").first.get_by_role("button").click()
        settled(page)
    expect(said).to_have_count(0)
    return words


def test_every_family_of_attacks_ends_in_a_line_and_the_page_lives_on(
    visit: Visit, home: Path, aside: Path, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    canary = tmp_path / "canary"
    attacks = dict(write_attacks(tmp_path / "files", canary))
    good = tmp_path / "good.npy"
    np.save(good, np.ones((2, 8), np.float32))
    page = visit("/library")
    page.get_by_role("button", name="Add a prompt").click()
    field = page.locator("input[type=file]")
    for name in ATTACKS:
        words = _push(page, field, attacks[name])
        assert "\n" not in words.strip("\n"), (name, words)
        assert attacks[name].name in words or "adapter" in name, (name, words)
        expect(page.get_by_text("Traceback")).to_have_count(0)
        expect(page.get_by_role("button", name="to the library")).to_have_count(0)
    field.set_input_files(good)
    expect(page.get_by_role("button", name="Add 1 prompt to the library")).to_be_visible()
    assert [card.id for card in Workspace(home).list()] == ["hostile@1"]
    assert not canary.exists()
    assert not list(aside.glob("probe-*"))
    assert not (home / "dashboard.log").exists()


def test_hostile_rows_end_in_a_line_too(
    visit: Visit, home: Path, aside: Path, tmp_path: Path
) -> None:
    page = visit("/train")
    page.get_by_text("Train on data of your own").click()
    for name, content in ROWS.items():
        path = tmp_path / name
        path.write_bytes(content)
        words = _push(page, page.locator("input[type=file]"), path)
        assert "\n" not in words.strip("\n"), (name, words)
        expect(page.get_by_role("button", name="Keep as a task")).to_have_count(0)
    assert [path.name for path in (home / "tasks").iterdir()] == ["moods"]
    assert not list(aside.glob("probe-*"))
    assert not (home / "dashboard.log").exists()
