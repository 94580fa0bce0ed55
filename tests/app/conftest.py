from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from probe import verbs
from probe.jobs.processes import process_start_time
from probe.store import JobFolder, Status, Workspace
from tests.trainable import LIGHT

APP = Path(__file__).parents[2] / "app"

Open = Callable[..., AppTest]
Made = Callable[..., JobFolder]


def strips_of(at: AppTest) -> list[list[tuple[str, str, str]]]:
    """The token strips of a page, in order: text, hover text and CSS of each token."""
    return [json.loads(one.proto.json)["tokens"] for one in at.get("bidi_component")]


@pytest.fixture(scope="session", autouse=True)
def _components_found_once() -> Iterator[None]:
    """Every AppTest reads the metadata of all installed packages, half a second each time."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield


@pytest.fixture
def workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace that the pages under test use."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read once at import
    # A page under test runs as __main__; processes that later tests start must not run it again.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    return Workspace()


@pytest.fixture
def open_page(workspace: Workspace) -> Open:
    """Open the dashboard from its entry script, at a page and with parameters in the address.

    `state` is what the session knows already, such as fields that were filled in.
    """

    def opened(
        page: str = "library",
        *,
        state: Mapping[str, object] | None = None,
        **parameters: str | list[str],
    ) -> AppTest:
        at = AppTest.from_file(str(APP / "main.py"), default_timeout=60)
        for name, value in (state or {}).items():
            at.session_state[name] = value
        for name, value in parameters.items():
            at.query_params[name] = value
        if page != "start":
            at._page_hash = calc_hash(page)  # as a browser that is given the page's address
        at.run()
        assert not at.exception
        return at

    return opened


@pytest.fixture
def made(workspace: Workspace, model: str, task: str) -> Made:
    """A run's folder in some state, with some records: `made("running", step=4)`."""

    def make(
        state: str,
        *,
        living: bool = False,
        records: int = 0,
        asked: Mapping[str, object] | None = None,
        **fields: object,
    ) -> JobFolder:
        status = Status(state, queued_at=time.time(), **fields)
        if living:
            pid = os.getpid()
            status = dataclasses.replace(
                status, pid=pid, started=process_start_time(pid), heartbeat=time.time(), began=0
            )
        config = verbs.run_config(
            model, task, LIGHT | dict(asked or {}), device="cpu", workspace=workspace
        )
        run = workspace.runs.create(config, status)
        lines = [
            {"step": step, "loss_nats": 3.0 - step / 10, "norm": 1.0, "moved": 0.0,
             "validation": None} for step in range(1, records + 1)
        ]  # fmt: skip
        run.metrics.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return run

    return make
