"""`probe mcp` answers a client of the Model Context Protocol."""

import asyncio
import os
import sys
import threading
from contextlib import suppress

import jsonschema
import pytest

pytest.importorskip("mcp")

from mcp import Client
from mcp.client.stdio import StdioServerParameters

from probe import verbs
from probe.cli.mcp import WRITES, server
from probe.results import Rows


def _asked(ask, of=None):
    """What a client's coroutine returns, connected to a server in this process."""

    async def talk():
        async with Client(of or server(write=False)) as client:
            return await ask(client)

    return asyncio.run(talk())


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBE_HOME", str(tmp_path / "home"))


def test_every_tool_says_what_it_is_for_and_what_it_is_asked():
    found = _asked(lambda client: client.list_tools())
    assert {"library", "decode", "read", "compare", "predict"} <= {one.name for one in found.tools}
    for tool in found.tools:
        assert tool.description
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert tool.annotations.read_only_hint


def test_what_writes_is_offered_only_when_asked_for():
    async def tools(client):
        return {one.name: one for one in (await client.list_tools()).tools}

    assert not set(WRITES) & set(_asked(tools))
    writing = _asked(tools, server(write=True))
    assert set(WRITES) <= set(writing)
    assert not writing["train"].annotations.read_only_hint


def test_an_answer_is_the_sentences_and_the_document():
    found = _asked(lambda client: client.call_tool("decode", {"prompt": "mood-text", "k": 2}))
    assert not found.is_error
    assert "Gaussian control" in found.content[0].text
    positions = found.structured_content["positions"]
    assert [len(one["neighbours"]) for one in positions] == [2] * len(positions)


def test_a_prompt_is_converted_and_its_place_is_the_answer(tmp_path):
    given = {"prompt": "mood-text", "dest": str(tmp_path / "mood.npy"), "to": "npy"}
    found = _asked(lambda client: client.call_tool("convert", given), server(write=True))
    assert not found.is_error
    assert found.structured_content == {"path": given["dest"]}
    assert (tmp_path / "mood.npy").is_file()


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("decode", {"prompt": "moood-text"}, "did you mean mood-text"),
        ("decode", {"prompt": "mood-text", "k": 0}, "k must be"),
        ("decode", {"prompt": "mood-text", "kk": 3}, "'kk'"),
        ("decode", {}, "prompt"),
        ("train", {"task": "mood"}, "no tool 'train'"),
        ("doctor", {"rebuild": True}, "expected texts as nothing, found rebuild = True"),
        ("library", {"workspace": "/tmp"}, "expected texts as search, tag, found workspace"),
        ("evaluate", {"prompts": ["mood-text"], "task": "mood", "record": True}, "--write"),
        ("decoder", {}, "did you mean decode?"),
    ],
)
def test_what_goes_wrong_is_one_line(tool, given, said):
    found = _asked(lambda client: client.call_tool(tool, given))
    assert found.is_error
    (line,) = found.content
    assert said in line.text
    assert "\n" not in line.text


def test_a_question_that_is_given_up_keeps_its_turn_until_its_thread_ends(monkeypatch):
    begun, free, told = threading.Event(), threading.Event(), []

    def runs():
        told.append("begun")
        begun.set()
        free.wait(30)
        told.append("ended")
        return Rows([], "jobs.runs")

    async def ask(client):
        with suppress(TimeoutError):
            await asyncio.wait_for(client.call_tool("runs", {}), 0.2)
        assert begun.wait(30)
        later = asyncio.create_task(client.call_tool("runs", {}))
        await asyncio.sleep(0.2)
        assert told == ["begun"]
        free.set()
        await later

    monkeypatch.setattr(verbs, "runs", runs)
    _asked(ask)
    assert told == ["begun", "ended"] * 2


@pytest.mark.process
@pytest.mark.slow
def test_a_client_talks_to_the_command():
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "probe", "mcp"],
        env=dict(os.environ),
    )

    async def ask(client):
        found = await client.call_tool("library", {"search": "mood"})
        return [row["id"] for row in found.structured_content["prompts"]]

    assert "mood-text" in _asked(ask, command)
