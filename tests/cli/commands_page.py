"""The option tables of docs/commands.md and the schemas of requests, as the code has them.

`python -m tests.cli.commands_page` writes them anew.
"""

import json
import re
from pathlib import Path

import typer

from probe import requests
from probe.cli.main import app
from probe.requests import Request, schema_of

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "commands.md"
SCHEMAS = DOCS / "schemas" / "requests"
HEAD = "| option | |\n|-|-|\n"


def commands():
    """Every command of the tree by its full name."""

    def walk(command, name):
        yield name, command
        for child, below in getattr(command, "commands", {}).items():
            yield from walk(below, f"{name} {child}")

    return dict(walk(typer.main.get_command(app), "probe"))


def page(text):
    """The page with every table as the commands have it."""
    for name, command in commands().items():
        if name != "probe":
            section = re.compile(rf"(?ms)^#+ {re.escape(name)}\n.*?(?=^#+ |\Z)")
            text = section.sub(lambda found, of=command: _section(found[0], of), text)
    return text


def usages(text):
    """The options of each usage block of the page by command, and whether there are more."""
    for name, command in commands().items():
        block = re.search(rf"(?m)^#+ {re.escape(name)}\n\n```\n((?:.+\n)+)```", text)
        if block:
            named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", block[1]))
            options = [o for o in command.params if o.param_type_name == "option"]
            spelled = [{*o.opts, *o.secondary_opts} for o in options if o.name != "help"]
            yield name, named, spelled, "] …" in block[1]


def schemas():
    """The JSON Schema of each request by its file's name."""
    kinds = (kind for kind in vars(requests).values() if isinstance(kind, type))
    found = (kind for kind in kinds if issubclass(kind, Request) and kind is not Request)
    return {f"{kind.__name__}.json": f"{json.dumps(schema_of(kind), indent=2)}\n" for kind in found}


def _section(text, command):
    table = HEAD + "".join(_rows(command))
    return re.sub(rf"{re.escape(HEAD)}(?:\|.*\n)*", lambda _: table, text)


def _rows(command):
    for option in command.params:
        if option.param_type_name == "option" and option.name != "help":
            flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
            yield f"| {flags} | {' '.join(option.help.split())} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
