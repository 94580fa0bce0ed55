"""`probe mcp`: the verbs as tools of the Model Context Protocol, on standard input and output."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.commands import COMMANDS, Command

if TYPE_CHECKING:
    from mcp.server import Server

WRITES = tuple(one.function for one in COMMANDS if one.tool == "writes")
_KEPT_MODELS = 1
"""Base models that stay in memory between questions."""
_TEXT = {"type": "string"}
_LISTS: dict[str, tuple[str, dict[str, Any]]] = {
    "library": (
        "List the workspace's prompts and the samples.",
        {"search": _TEXT | {"description": "Words that must all occur."}, "tag": _TEXT},
    ),
    "runs": ("List runs and studies, the newest first.", {}),
    "doctor": ("Check the installation and the workspace.", {}),
}
_RECORDS = "record"
"""Of a request that only reads otherwise, the field that writes."""
_INSTRUCTIONS = (
    "Tools of probe, which says what trained soft prompts mean. Start with `library` for the names "
    "of prompts, then `read` for the meaning of one and how often such a reading is right; "
    "`decode` has its nearest tokens, which mostly tell where training began."
)


@dataclass(frozen=True)
class Verb:
    """A verb as a tool: what it is for, the JSON Schema of what it is asked, and the call."""

    name: str
    words: str
    schema: Mapping[str, Any]
    ask: Callable[[Mapping[str, Any]], object]
    writes: bool


def mcp(
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="Also offer what trains prompts or writes files (" + ", ".join(WRITES) + "), "
            "histories of evaluations and the removal of leftovers by doctor.",
        ),
    ] = False,
) -> None:
    """Serve the verbs to an agent, over MCP on standard input and output; they only read.

    An agent's settings name the command `probe mcp`. It ends when its input does.
    """
    import asyncio
    from importlib.util import find_spec

    from probe.errors import MissingExtraError

    if find_spec("mcp") is None:
        raise MissingExtraError("mcp", "mcp")
    asyncio.run(_serve(server(write=write)))


def verbs_offered(*, write: bool) -> list[Verb]:
    """Every verb that is a tool, those that only read first."""
    tools = ("reads", "writes") if write else ("reads",)
    asked = [_asked(one, write=write) for tool in tools for one in COMMANDS if one.tool == tool]
    return [_listing(name, write=write) for name in _LISTS] + asked


def server(*, write: bool) -> Server[Any]:
    """The server of the verbs; one is asked at a time, since each takes what the machine has."""
    import asyncio

    from mcp import types
    from mcp.server import Server

    from probe import __version__
    from probe.models import keep_models

    keep_models(_KEPT_MODELS)
    offered = {verb.name: verb for verb in verbs_offered(write=write)}
    turn = asyncio.Lock()

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(verb) for verb in offered.values()])

    async def call_tool(_: Any, asked: types.CallToolRequestParams) -> types.CallToolResult:
        await turn.acquire()
        work = asyncio.to_thread(_answer, offered, asked.name, asked.arguments or {})
        answer = asyncio.create_task(work)
        # A client that gives up ends the waiting, not the thread, which still holds a model.
        answer.add_done_callback(lambda _: turn.release())
        return await asyncio.shield(answer)

    return Server(
        "probe",
        version=__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _serve(offered: Server[Any]) -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (read, written):
        await offered.run(read, written, offered.create_initialization_options())


def _listing(name: str, *, write: bool) -> Verb:
    from probe import verbs

    words, properties = _LISTS[name]
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    cleans = name == "doctor" and write
    more = {"clean": cleans} if name == "doctor" else {}

    def ask(given: Mapping[str, Any]) -> object:
        _require_known(given, properties)
        return getattr(verbs, name)(**given, **more)

    return Verb(name, words, schema, ask, writes=cleans)


def _require_known(given: Mapping[str, Any], properties: Mapping[str, Any]) -> None:
    """Refuse what a list is not asked; all that it is asked are texts."""
    from probe.errors import DataError

    for key, value in given.items():
        if key not in properties or not isinstance(value, str):
            known = ", ".join(properties) or "nothing"
            raise DataError(f"expected texts as {known}, found {key} = {value!r}")


def _asked(command: Command, *, write: bool) -> Verb:
    from probe.errors import ProbeError
    from probe.requests import from_document, schema_of

    verb = getattr(command.module, command.function)
    words = " ".join((verb.request.__doc__ or "").split())

    schema = schema_of(verb.request)
    if not write:
        schema["properties"].pop(_RECORDS, None)

    def ask(given: Mapping[str, Any]) -> object:
        if not write and given.get(_RECORDS):
            raise ProbeError(f"{_RECORDS} writes: start `probe mcp --write`, or leave it out")
        return verb(from_document(verb.request, given))

    writes = command.tool == "writes" or _RECORDS in schema["properties"]
    return Verb(command.function, words, schema, ask, writes)


def _tool(verb: Verb) -> Any:
    from mcp import types

    hints = types.ToolAnnotations(
        read_only_hint=not verb.writes,
        destructive_hint=False,
        open_world_hint=verb.name not in _LISTS,  # a prompt or a model may be a hub's
    )
    return types.Tool(
        name=verb.name,
        description=verb.words,
        input_schema=dict(verb.schema),
        annotations=hints,
    )


def _answer(offered: Mapping[str, Verb], name: str, given: Mapping[str, Any]) -> Any:
    """What a verb found, the sentences first; what went wrong in one line, as in a terminal."""
    from mcp import types

    from probe.cli.output import one_line
    from probe.errors import is_failure
    from probe.results import Result
    from probe.texts import did_you_mean

    if name not in offered:
        said = f"no tool {name!r}" + did_you_mean(name, offered)
        return types.CallToolResult(content=[types.TextContent(text=said)], is_error=True)
    try:
        found = offered[name].ask(given)
        # Of what is written in another layout only the place is known.
        document = found.to_json() if isinstance(found, Result) else {"path": str(found)}
    except BaseException as error:
        if not is_failure(error):
            raise
        text = types.TextContent(text=one_line(error))
        return types.CallToolResult(content=[text], is_error=True)
    told = found.headline() if isinstance(found, Result) else ()
    texts = [*told, json.dumps(document, ensure_ascii=False)]
    return types.CallToolResult(
        content=[types.TextContent(text=text) for text in texts], structured_content=document
    )
