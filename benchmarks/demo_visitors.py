"""Visitors of the public demo: so many in a minute, every third of them hostile."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlencode
from urllib.request import urlopen

import psutil
from dashboard_servers import free_port, wait_for
from report import publish, table
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

HOST = "demo.example.org"
BASE = "/probe"
_WAIT_S = 240.0
VIEWS: tuple[tuple[str, dict[str, object]], ...] = (
    ("", {}),
    ("library", {}),
    ("decode", {"p": "sst2-text", "k": 7}),
    ("decode", {"p": "smollm2-distilled-french", "try": "What is for dinner?"}),
    ("map", {}),
    ("compare", {"p": ["sst2-text", "trec-text"]}),
    ("waywardness", {}),
    ("train", {"new": "a text of your own"}),
    ("runs", {}),
)
ATTACKS: tuple[tuple[str, dict[str, object]], ...] = (
    ("decode", {"p": "/etc/passwd"}),
    ("decode", {"p": "owner/name"}),
    ("decode", {"p": "../.."}),
    ("decode", {"model": "/etc"}),
    ("decode", {"model": "another", "model_id": "owner/name"}),
    ("decode", {"re": "(-+)+$"}),
    ("decode", {"find": "x" * 100_000}),
    ("compare", {"p": ["sst2-text"] * 900}),
    ("runs", {"run": "../../etc/passwd"}),
    ("library", {"p": "<script>alert(1)</script>"}),
)


@dataclass(frozen=True)
class Answer:
    """What one visitor got."""

    kind: str
    seconds: float
    outcome: str
    """page, refused, or why there was none."""


async def visit(port: int, number: int) -> Answer:
    """Open a page as a browser does, over HTTP and then a WebSocket, and read it whole."""
    hostile = number % 3 == 2
    page, asked = (ATTACKS if hostile else VIEWS)[number % len(ATTACKS if hostile else VIEWS)]
    start = time.monotonic()
    try:
        async with asyncio.timeout(_WAIT_S), _session(port, number) as wire:
            await asyncio.to_thread(_read_files, port, page)
            await wire.send(_rerun(page, asked))
            said = await _whole_page(wire)
    except (OSError, TimeoutError, WebSocketException) as error:
        return Answer("hostile" if hostile else "usual", _WAIT_S, type(error).__name__)
    return Answer("hostile" if hostile else "usual", time.monotonic() - start, _outcome(said, page))


def _session(port: int, number: int) -> connect:
    address = f"ws://127.0.0.1:{port}{BASE}/_stcore/stream"
    forwarded = {"X-Forwarded-For": f"10.0.{number // 250}.{number % 250}"}
    return connect(address, additional_headers=forwarded, max_size=None, open_timeout=_WAIT_S)


def _rerun(page: str, asked: dict[str, object]) -> bytes:
    message = BackMsg()
    message.rerun_script.query_string = urlencode(asked, doseq=True)
    message.rerun_script.page_name = page
    return bytes(message.SerializeToString())


async def _whole_page(wire: object) -> list[ForwardMsg]:
    said = []
    async for data in wire:  # type: ignore[attr-defined]
        message = ForwardMsg()
        message.ParseFromString(data)
        said.append(message)
        if message.WhichOneof("type") == "script_finished":
            return said
    raise OSError("closed before the page was whole")


def _read_files(port: int, page: str) -> None:
    with urlopen(f"http://127.0.0.1:{port}{BASE}/{page}", timeout=_WAIT_S) as answer:
        answer.read()


def _outcome(said: list[ForwardMsg], page: str) -> str:
    elements = [one.delta.new_element for one in said if one.WhichOneof("type") == "delta"]
    kinds = [one.WhichOneof("type") for one in elements]
    if "exception" in kinds:
        return "an exception"
    lines = [one.alert.body for one in elements if one.WhichOneof("type") == "alert"]
    if any("went wrong" in line for line in lines):
        return "an error of ours"
    if any("demo" in line or "the address" in line for line in lines):
        return "refused"
    titles = [one.heading.body for one in elements if one.WhichOneof("type") == "heading"]
    return "page" if (page or "start").title() in titles[:1] else f"another page, {titles[:1]}"


def besiege(visitors: int, within_s: float) -> tuple[list[Answer], dict[str, float]]:
    """Start a demo, let the visitors come evenly spread, and watch its memory."""
    port = free_port()
    probe = [sys.executable, "-m", "probe", "app", "--demo", "--port", str(port)]
    started = subprocess.Popen([*probe, "--host", HOST, "--base-path", BASE])
    try:
        wait_for(f"http://127.0.0.1:{port}{BASE}/_stcore/health")
        return asyncio.run(_all(port, visitors, within_s, psutil.Process(started.pid)))
    finally:
        started.terminate()
        started.wait(timeout=60)


async def _all(
    port: int, visitors: int, within_s: float, server: psutil.Process
) -> tuple[list[Answer], dict[str, float]]:
    memory = {"before": _rss_mb(server), "most": 0.0}
    at_work = True

    async def watch() -> None:
        while at_work:
            memory["most"] = max(memory["most"], _rss_mb(server))
            await asyncio.sleep(0.5)

    async def one(number: int) -> Answer:
        await asyncio.sleep(number * within_s / visitors)
        return await visit(port, number)

    watching = asyncio.create_task(watch())
    answers = await asyncio.gather(*map(one, range(visitors)))
    at_work = False
    await watching
    memory["after"] = _rss_mb(server)
    wait_for(f"http://127.0.0.1:{port}{BASE}/_stcore/health")
    return list(answers), memory


def _rss_mb(server: psutil.Process) -> float:
    family = [server, *server.children(recursive=True)]
    return float(sum(one.memory_info().rss for one in family)) / 1e6


def report(answers: list[Answer], memory: dict[str, float], within_s: float) -> str:
    """What came of the visits, as a table."""
    usual = [one for one in answers if one.kind == "usual"]
    hostile = Counter(one.outcome for one in answers if one.kind == "hostile")
    took = [one.seconds for one in usual]
    return table(
        ["what", "found"],
        [
            ["visitors, spread over", f"{len(answers)}, {within_s:.0f} s"],
            ["usual views", _counts(Counter(one.outcome for one in usual))],
            ["hostile addresses", _counts(hostile)],
            ["median view, 95th percentile",
             f"{statistics.median(took):.1f} s, {statistics.quantiles(took, n=20)[-1]:.1f} s"],
            ["memory before, at most, after", ", ".join(f"{mb:,.0f} MB" for mb in memory.values())],
            ["the server afterwards", "up: its health page answers"],
        ],
    )  # fmt: skip


def _counts(found: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in found.most_common())


def main() -> None:
    """Besiege a demo, and keep what was found when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--write", action="store_true", help="keep the result")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    found = report(*besiege(asked.visitors, asked.seconds), asked.seconds)
    note = f"Load of the machine: {load:.1f} before, {os.getloadavg()[0]:.1f} at the end."
    title = "The public demo and its visitors"
    publish("demo_visitors", title, f"{found}\n\n{note}", "streamlit", write=asked.write)


if __name__ == "__main__":
    main()
