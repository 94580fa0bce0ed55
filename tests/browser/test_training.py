"""Training in a real browser: whatever dies, page, server or worker, the run is found again."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from probe import jobs
from probe.jobs import view
from probe.store import JobFolder, Workspace, read_records
from probe.tables import default_model
from probe.verbs.training import run_config
from tests.browser.conftest import Visit
from tests.browser.dashboard import (
    WAIT_S,
    choose_model,
    end_work,
    kill_dashboard,
    let_in,
    running_dashboard,
    settled,
)
from tests.servers import free_port
from tests.trainable import LIGHT, write_task
from tests.waiting import until

pytestmark = pytest.mark.browser

STEPS = 12


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    """A workspace with that task, whose runs are ended afterwards."""
    write_task(tmp_path / "home" / "tasks" / "moods")
    yield tmp_path / "home"
    end_work(Workspace(tmp_path / "home"))


def _start(page: Page, workspace: Workspace) -> JobFolder:
    """Fill in the form and start; the run is held still as soon as it has noted something."""
    choose_model(page, "builtin")
    steps = page.get_by_role("spinbutton", name="Steps", exact=True)
    steps.fill(str(STEPS))
    steps.press("Enter")
    expect(page.get_by_test_id("stCode").last).to_contain_text(f"--steps {STEPS}")
    page.get_by_role("button", name="Start training").click()
    (run,) = until(lambda: list(workspace.runs))
    until(lambda: len(read_records(run.metrics)[0]) >= 2)
    os.killpg(run.status.pid, signal.SIGSTOP)
    assert view(workspace, run).state == "running"
    return run


@contextmanager
def _held(run: JobFolder) -> Iterator[None]:
    """A run that stands still, which goes on afterwards if its worker lives."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.status.pid, signal.SIGCONT)


@pytest.mark.timeout(600)  # a busy machine may take half of that
def test_a_run_survives_a_reload_is_cancelled_resumed_and_opened_in_decode(
    visit: Visit, home: Path
) -> None:
    workspace = Workspace(home)
    page = visit("/train")
    expect(page.get_by_text("Nothing is training")).to_be_visible()
    run = _start(page, workspace)
    with _held(run):
        expect(page.get_by_role("heading", name=re.compile("Training: step"))).to_be_visible()
        expect(page).to_have_url(re.compile(f"run={run.id}"))
        expect(page.get_by_test_id("stTopNavLink").filter(has_text="Train (1)")).to_be_visible()
        expect(page.get_by_test_id("stMetric").filter(has_text="cpu, float32")).to_be_visible()
        expect(page.locator("[class*=st-key-loss_] .js-plotly-plot")).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name=re.compile("Training: step"))).to_be_visible()
        other = visit("/train")  # a second tab, without the run in its address
        expect(other.get_by_role("heading", name=re.compile("Training: step"))).to_be_visible()
        # Asked while it stands still: it stops at the very next step, however fast it is.
        page.get_by_role("button", name="Cancel", exact=True).click()
        until(run.stop.exists)
    for tab in (page, other):
        expect(tab.get_by_role("heading", name=re.compile("Cancelled at step"))).to_be_visible()
    saved = view(workspace, run)
    assert (saved.state, 0 < saved.step < STEPS) == ("cancelled", True)
    other.close()
    page.get_by_role("button", name="Resume").click()
    done = page.get_by_role("heading", name=f"Finished after {STEPS} steps")
    expect(done).to_be_visible(timeout=3000 * WAIT_S)  # it loads, trains and is scored
    expect(page.get_by_text("the model alone", exact=False).first).to_be_visible()
    page.get_by_role("button", name="Open in Decode").click()
    expect(page.get_by_text(re.compile(r"moods-prompt_tuning@\d+ · base model"))).to_be_visible()
    expect(page).to_have_url(re.compile(r"/decode.*p=moods-prompt_tuning%40\d"))


def test_server_and_worker_may_be_killed_and_the_run_is_found_again(
    chromium: Browser, own_home: Path
) -> None:
    workspace, port = Workspace(own_home), free_port()
    expect.set_options(timeout=1000 * WAIT_S)
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(1000 * WAIT_S)
    page = context.new_page()
    with running_dashboard(own_home, port) as address:
        let_in(context, own_home)
        page.goto(f"{address}/train")
        run = _start(settled(page), workspace)
        kill_dashboard(port)
    noted = read_records(run.metrics)[0]
    with _held(run), running_dashboard(own_home, port) as address:
        let_in(context, own_home)
        page.goto(f"{address}/train")
        shown = page.get_by_role("heading", name=re.compile("Training: step"))
        expect(shown).to_be_visible()
        assert read_records(run.metrics)[0] == noted
        os.killpg(run.status.pid, signal.SIGKILL)
        expect(page.get_by_role("heading", name=re.compile("Interrupted at"))).to_be_visible()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        expect(page.get_by_text("Traceback")).to_have_count(0)
        page.close()
    context.close()


def test_a_run_is_deleted_only_when_that_is_confirmed(visit: Visit, home: Path) -> None:
    workspace = Workspace(home)
    asked = run_config(
        "builtin", str(home / "tasks" / "moods"), LIGHT, device="cpu", workspace=workspace
    )
    run = jobs.start(workspace, asked)
    until(lambda: run.status.state == "finished")
    (prompt,) = run.status.prompts
    page = visit(f"/runs?run={run.id}")
    shown = page.get_by_role("button", name="Delete", exact=True)
    shown.click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert run.id in workspace.runs.ids()
    shown.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(shown).to_have_count(0)
    assert run.id not in workspace.runs.ids()
    assert workspace.card(prompt)


def test_a_sentence_is_tried_on_a_prompt_and_on_the_model_alone(visit: Visit) -> None:
    page = visit("/decode?p=sst2-text")
    box = page.get_by_role("textbox", name="A sentence")
    box.fill("a moving film that never hurries")
    box.press("Enter")
    expect(page.get_by_text("the model alone says")).to_be_visible()
    expect(page.locator("[class*=st-key-try_] .js-plotly-plot .barlayer")).to_be_visible()
    expect(page).to_have_url(re.compile("try=a"))


def test_the_pages_fit_a_telephone(visit: Visit) -> None:
    for path, title in (("/train", "Train"), ("/runs", "Runs")):
        page = visit(path)
        page.set_viewport_size({"width": 390, "height": 844})
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
        settled(page)
        main = page.get_by_test_id("stMain")
        assert main.evaluate("node => node.scrollWidth - node.clientWidth") <= 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(default_model() != "smollm2", reason="smollm2 is not installed")
def test_a_newcomer_types_a_sentence_and_reads_its_meaning_from_the_trained_rows(
    visit: Visit,
) -> None:
    page = visit("/train")
    page.get_by_text("a text of your own", exact=True).click()
    page.get_by_role("textbox", name="A text of your own").fill("Always answer in French.")
    for field, value in (("Rows", "4"), ("Steps", "12")):  # little, but enough for this text
        box = page.get_by_role("spinbutton", name=field, exact=True)
        box.fill(value)
        box.press("Enter")
        expect(page.get_by_test_id("stCode").last).to_contain_text(value)
    page.get_by_role("button", name="Distil it").click()
    expect(page.get_by_role("heading", name=re.compile("Training: step"))).to_be_visible(
        timeout=5000 * WAIT_S
    )
    expect(page.get_by_role("heading", name="Finished after 12 steps")).to_be_visible(
        timeout=5000 * WAIT_S
    )
    expect(page.get_by_text("of the text's effect in 4 rows")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("French"))).to_be_visible()
    page.get_by_role("button", name="Open in Decode").click()
    expect(page).to_have_url(re.compile("/decode.*p=always-answer-in-french%401"))
