"""What `dashboard_speeds.py` measures: a large library, the dashboard over it, an empty page."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import Browser, Playwright

from probe.cli.serving import Public, command
from probe.prompt import SoftPrompt
from probe.store import Workspace
from probe.tables import load_vocabulary

MODELS = ("builtin", "minilm")
TASKS = ("sst2", "subj", "agnews", "trec", "mood")
CHROMIUM_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--enable-unsafe-swiftshader",
)
_START_S = 300.0

_EMPTY = """\
import plotly.graph_objects as go
import streamlit as st

def one():
    st.title("One")

def two():
    st.title("Two")

def click():
    st.title("Click")
    st.text("now on" if st.toggle("Switch") else "now off")

def figure():
    st.title("Figure")
    st.dataframe({"row": [1]})
    st.plotly_chart(go.Figure(go.Bar(y=[1])))

pages = [st.Page(one, default=True), *map(st.Page, (two, click, figure))]
st.navigation(pages, position="top").run()
"""


@dataclass(frozen=True)
class Server:
    """A page server in a process of its own."""

    address: str
    process: psutil.Process

    def rss_mb(self) -> float:
        """Resident memory of the server and the processes it started, in MB."""
        family = [self.process, *self.process.children(recursive=True)]
        return float(sum(one.memory_info().rss for one in family)) / 1e6


def write_library(home: Path, prompts: int, seed: int) -> list[str]:
    """Save noisy vocabulary rows of both shipped models as prompts; returns their ids."""
    rng = np.random.default_rng(seed)
    tables = {model: load_vocabulary(model) for model in MODELS}
    workspace = Workspace(home)
    ids = []
    for number in range(prompts):
        model = MODELS[number % len(MODELS)]
        table = tables[model]
        tokens = rng.integers(0, len(table), size=int(rng.integers(5, 41)))
        rows = table.rows(tokens).astype(np.float32)
        rows += 0.3 * rows.std() * rng.standard_normal(rows.shape, dtype=np.float32)
        task = TASKS[number % len(TASKS)]
        prompt = SoftPrompt(
            f"{task}-{number}", rows, base_model=model, task=task,
            metrics={"accuracy": float(rng.random())},
        )  # fmt: skip
        ids.append(workspace.save(prompt, tags=(f"batch{number % 10}",)).id)
    return ids


@contextmanager
def dashboard(home: Path) -> Iterator[Server]:
    """`probe app` over a workspace."""
    port = free_port()
    probe = [sys.executable, "-m", "probe", "app", "--no-browser", "--no-token"]
    with _served([*probe, "--port", str(port), "--workspace", str(home)], port) as server:
        yield server


@contextmanager
def empty_pages(folder: Path) -> Iterator[Server]:
    """Pages of one title each, and one with the smallest table and figure; same flags."""
    script = folder / "empty.py"
    script.write_text(_EMPTY)
    port = free_port()
    with _served(command(script, port, Public()), port) as server:
        yield server


def find_chromium() -> str:
    """The system's Chromium or Chrome.

    Raises:
        SystemExit: there is none.
    """
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit("no Chromium was found: install chromium")
    return found


def chromium(playwright: Playwright) -> Browser:
    """A headless Chromium without its sandbox, which containers refuse."""
    return playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_FLAGS))


@contextmanager
def _served(arguments: list[str], port: int) -> Iterator[Server]:
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    started = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        yield Server(f"http://127.0.0.1:{port}", psutil.Process(started.pid))
    finally:
        started.terminate()
        started.wait(timeout=_START_S)


def wait_for(address: str) -> None:
    """Return once an address answers.

    Raises:
        SystemExit: it never does.
    """
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{address} never answered")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
