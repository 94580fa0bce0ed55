"""Whatever strangers ask of the public demo is refused in a line, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.library.upload import read_uploads
from dashboard.shared import exports, limits, resources, side_jobs
from dashboard.shared.jobs import start_job
from dashboard.shared.limits import Rate, costly, require_memory
from dashboard.shared.markdown import plain
from dashboard.shared.public_demo import DemoError
from dashboard.train import public_queue
from probe import jobs, verbs
from probe.datasets.definition import Definition
from probe.prompt import SoftPrompt
from probe.store import Status, Workspace
from tests.app.conftest import Made, Open


@pytest.fixture(autouse=True)
def _public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_DEMO", "1")
    for name in ("COMPUTATIONS", "DOWNLOADS", "DISTILLATIONS"):
        usual = getattr(limits, name)
        fresh = Rate(usual.what, usual.each, usual.together, usual.within_s)
        for module in (limits, exports):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, fresh)


def _written(workspace: Workspace) -> list[Path]:
    return sorted(path for path in workspace.root.rglob("*") if path.is_file())


ADDRESSES: dict[str, tuple[dict[str, str | list[str]], str]] = {
    "a file": ({"p": "/etc/passwd"}, "has no prompt /etc/passwd"),
    "a hub id": ({"p": "owner/name"}, "has no prompt owner/name"),
    "the folder above": ({"p": "../.."}, "has no prompt ../.."),
    "markup": ({"p": "<img src=x onerror=alert(1)>"}, "has no prompt <img"),
    "Markdown": ({"p": ":red[**x**](javascript:1)"}, "has no prompt :red"),
    "a share": ({"p": r"\\evil.example\share"}, "has no prompt"),
    "nothing but a zero": ({"p": "\0"}, "has no prompt"),
    "one among good ones": ({"p": ["sst2-text", "/etc/passwd"]}, "has no prompt /etc/passwd"),
    "hundreds of prompts": ({"p": ["sst2-text"] * 900}, "900 values of p"),
    "a long name": ({"p": "x" * 100_000}, "a value of 100,000 characters"),
    "a long name of a parameter": ({"y" * 100_000: "1"}, "a value of 100,000 characters"),
    "a long search": ({"find": "x" * 100_000}, "a value of 100,000 characters"),
    "a long sentence to try": ({"try": "x" * 100_000}, "a value of 100,000 characters"),
    "the first of a pair": ({"a": "/etc/passwd"}, "has no prompt /etc/passwd"),
    "the second of a pair": ({"b": "../../x"}, "has no prompt ../../x"),
    "a model's folder": ({"model": "/etc"}, "has no base model /etc"),
    "a model of the hub": ({"model": "gpt2"}, "has no base model gpt2"),
    "another model": ({"model": "another", "model_id": "/etc"}, "no names of models other"),
    "another model alone": ({"model_id": "owner/name"}, "no names of models other"),
    "a slow expression": ({"re": "(-+)+$"}, "no regular expressions"),
    "a run elsewhere": ({"run": "../../etc"}, "has no run ../../etc"),
    "a study elsewhere": ({"study": "/etc/passwd"}, "has no run /etc/passwd"),
}


@pytest.mark.parametrize("attack", ADDRESSES)
def test_an_address_that_asks_for_more_is_refused_in_a_line(
    attack: str, open_page: Open, workspace: Workspace
) -> None:
    parameters, line = ADDRESSES[attack]
    at = open_page("decode", **parameters)
    assert not at.exception
    (said,) = [one.value for one in at.error]
    assert plain(line).replace("\\", "") in said.replace("\\", "") and len(said) < 400
    assert not at.get("plotly_chart") and not at.button
    assert _written(workspace) == []


def test_ten_thousand_prompts_in_an_address_are_none(open_page: Open) -> None:
    at = open_page("library", p=["sst2-text"] * 10_000)  # Streamlit reads no such address
    assert not at.exception and len(at.session_state["p"]) == 1


def test_the_click_after_a_refused_address_goes_on(open_page: Open) -> None:
    at = open_page("library", p="/etc/passwd")
    assert at.error
    assert not at.query_params
    assert not at.run().error


def _definition() -> Definition:
    return Definition("mine", "classification", "{text} It was", ("bad", "good"), ((), ()))


WRITES: dict[str, Callable[[Workspace, Any], object]] = {
    "adds a prompt": lambda space, _: space.save(SoftPrompt("x", np.ones((2, 4), np.float32))),
    "tags": lambda space, _: space.tag("kept", "x"),
    "takes a tag off": lambda space, _: space.untag("kept", "x"),
    "notes": lambda space, _: space.annotate("kept", "x"),
    "deletes a prompt": lambda space, _: space.remove("kept"),
    "keeps a task": lambda space, _: space.tasks.save(_definition(), {"train.csv": b"text,label"}),
    "starts a run": lambda _, config: start_job(config),
    "records a run": lambda space, config: space.runs.create(config, Status("queued", 0)),
    "reads a file": lambda _, __: read_uploads([("x.npy", b"")]),
    "computes for minutes": lambda _, __: side_jobs.start_job(("transfer", "x")),
    "plans a run": lambda _, __: side_jobs.plan_of(("probe", "train", "builtin", "sst2")),
    "deletes a run": lambda space, _: verbs.delete_run(next(iter(space.runs)).id, workspace=space),
}


@pytest.mark.parametrize("write", WRITES)
def test_nothing_that_pages_call_writes(write: str, workspace: Workspace, made: Made) -> None:
    workspace.save(SoftPrompt("kept", np.ones((2, 4), np.float32)), tags=("x",))
    run = made("finished")
    before = {path: path.read_bytes() for path in _written(workspace)}
    with pytest.raises(DemoError, match="the public demo is read-only: install probe"):
        WRITES[write](resources.workspace(), run.config)
    assert {path: path.read_bytes() for path in _written(workspace)} == before


def _ends_a_run() -> None:
    import streamlit as st

    from dashboard.shared.errors import draw_said
    from dashboard.shared.jobs import active_jobs, cancel_job

    draw_said()
    if st.button("Cancel"):
        cancel_job(active_jobs()[0][0])


def test_no_visitor_ends_what_is_at_work(made: Made, workspace: Workspace) -> None:
    run = made("running", living=True)
    at = AppTest.from_function(_ends_a_run).run()
    at.button[0].click().run()
    assert plain("the public demo is read-only") in at.error[0].value
    assert not run.stop.exists() and jobs.observe(run)[1] == "running"


@pytest.mark.parametrize("page", ["start", "library", "waywardness", "train", "runs"])
@pytest.mark.slow
def test_no_page_offers_a_file_or_a_change(page: str, open_page: Open, made: Made) -> None:
    made("finished", records=2)
    at = open_page(page)
    assert not at.error and not at.get("file_uploader")
    assert not any("may be open at once" in one.value for one in at.markdown)
    assert not {one.label for one in at.button} & {
        "Start training", "Start the study", "Estimate the time", "Delete", "Cancel", "Resume",
        "Reproduce", "Keep as a task",
    }  # fmt: skip


def test_what_is_typed_past_the_fields_bounds_is_refused(
    open_page: Open, workspace: Workspace
) -> None:
    at = open_page("decode", state={"re": "(-+)+$"}, p="sst2-text")
    assert plain("no regular expression") in at.error[0].value
    at = open_page("decode", state={"model": "another", "model_id": "/etc/passwd"}, p="sst2-text")
    assert not at.exception
    at = open_page("decode", state={"try": "x" * 50_000}, p="sst2-text")
    assert plain("reads 4,000 characters at a time, found 50,0")[:40] in at.error[0].value
    assert not (workspace.root / "dashboard.log").exists()


def test_a_visitor_may_distil_a_short_text_that_waits_its_turn(
    open_page: Open, workspace: Workspace, made: Made
) -> None:
    made("running", living=True)
    at = open_page("train")
    assert any("1 distillation before yours, at most 4 wait" in one.value for one in at.caption)
    for text in ("", " ", "x" * 201, "x" * 100_000):
        with pytest.raises(DemoError, match="expected a text of 1 to 200 characters"):
            public_queue.enqueue(text)
    for _ in range(3):
        made("queued", living=True)
    with pytest.raises(DemoError, match="4 distillations wait already"):
        public_queue.enqueue("Answer in French.")
    assert len(workspace.runs.ids()) == 4


@pytest.mark.slow
@pytest.mark.process
def test_the_queue_makes_every_prompt_alike_and_forgets_the_oldest(
    workspace: Workspace, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_queue, "KEPT", 2)
    old = workspace.save(SoftPrompt("old", np.ones((2, 4), np.float32))).id
    made("finished", prompts=(old,))
    made("failed")
    run = public_queue.enqueue("Answer in French.")
    try:
        request = workspace.runs.get(run).config.request
        assert (request["length"], request["steps"]) == (8, 60)
        assert request["text"] == "Answer in French."
        assert len(workspace.runs.ids()) <= 3
    finally:
        jobs.cancel(workspace, run)


def test_computations_are_counted_per_visitor_and_for_all() -> None:
    rate = Rate("computation", each=2, together=3, within_s=60)
    rate.admit("a", 0)
    rate.admit("a", 1)
    with pytest.raises(DemoError, match=r"2 computations in 60 s for a visitor: .* in 58 s"):
        rate.admit("a", 2)
    rate.admit("b", 2)
    with pytest.raises(DemoError, match="3 computations in 60 s for all visitors together"):
        rate.admit("c", 3)
    rate.admit("c", 61)
    for number in range(20_000):
        Rate.admit(rate, f"v{number}", 100.0 * number)
    assert len(rate._past) <= 10_000


def test_only_what_is_computed_anew_is_counted(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    @st.cache_data
    @costly
    def square(number: int) -> int:
        return number**2

    monkeypatch.setattr(limits, "COMPUTATIONS", Rate("computation", 1, 1, 60))
    assert [square(3), square(3)] == [9, 9]
    with pytest.raises(DemoError, match="1 computation in 60 s for a visitor: try again in"):
        square(4)
    at = open_page("decode", p="sst2-text", k="19")
    assert plain("try again in") in at.error[0].value and not at.exception


def test_where_memory_is_short_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    require_memory()
    monkeypatch.setenv("PROBE_DEMO_MEMORY_MB", "10")
    with pytest.raises(DemoError, match="out of memory for now"):
        costly(lambda: 1)()
    monkeypatch.delenv("PROBE_DEMO")
    assert costly(lambda: 1)() == 1


def test_a_dashboard_of_one_s_own_is_as_it_was(
    open_page: Open, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROBE_DEMO")
    resources.workspace().save(SoftPrompt("x", np.ones((2, 4), np.float32)))
    assert workspace.get("x").name
    assert not open_page("library", p="/etc/passwd").error


def test_downloads_are_counted_per_visitor_but_not_on_a_dashboard_of_ones_own() -> None:
    for _ in range(20):
        assert exports._bytes(lambda: "x", "one") == b"x"
    with pytest.raises(DemoError, match="20 downloads in 60 s for a visitor: try again in"):
        exports._bytes(lambda: "x", "one")
    assert exports._bytes(lambda: {"a": 1}, "another") == b'{\n "a": 1\n}'
    for _ in range(200):
        assert exports._bytes(lambda: b"x", None) == b"x"
