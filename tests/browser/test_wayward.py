"""A study in a real browser: started, reloaded, seen to finish, and its prompt opened in Decode."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from probe.store import Workspace
from tests.browser.conftest import Visit
from tests.browser.dashboard import WAIT_S, choose_model, settled

pytestmark = pytest.mark.browser


def test_a_study_survives_a_reload_finishes_and_its_prompt_opens_in_decode(
    visit: Visit, home: Path
) -> None:
    page = visit("/waywardness")
    expect(page.get_by_text("This study comes with probe")).to_be_visible()
    settled(page).get_by_text("Start a study").click()
    choose_model(page, "builtin")
    for label, value in (("Steps", "3"), ("Texts of each set, from short to long", "1")):
        box = page.get_by_role("spinbutton", name=label, exact=True)
        box.fill(value)
        box.press("Enter")
        expect(page.get_by_test_id("stCode").last).to_contain_text(
            {"3": "--steps 3"}.get(value, "--target-count 1")
        )
    gamma = page.get_by_role("textbox", name="γ, with commas between")
    gamma.fill("10")
    gamma.press("Enter")
    expect(page.get_by_test_id("stCode").last).to_contain_text("--gamma 10 ")
    page.get_by_role("button", name="Start the study").click()
    expect(page).to_have_url(re.compile("study=wayward-builtin-moods-"))
    page.reload()
    answer = page.get_by_role("heading", name=re.compile("On moods, started at"))
    expect(answer).to_be_visible(timeout=3000 * WAIT_S)  # a model is loaded and prompts trained
    expect(page.get_by_text("4 trainings.")).to_be_visible(timeout=3000 * WAIT_S)
    settled(page)
    page.get_by_role("button", name="Open in Decode").click()
    expect(page.get_by_role("heading", name="Decode", exact=True)).to_be_visible()
    (card,) = Workspace(home).list("wayward")
    expect(page.get_by_text(f"{card.id} · base model builtin")).to_be_visible()
    expect(page).to_have_url(re.compile(f"/decode.*p={card.name}%401"))
