"""docs/python.md: every function of `probe` with the arguments that its request has.

`python -m tests.docs.python_page` writes it anew.
"""

import dataclasses

import probe
from probe.commands import FUNCTIONS
from probe.requests import fields_of
from tests.docs.pages import DOCS

PAGE = DOCS / "python.md"
_HEAD = (
    "# Python\n\nEvery command but `app`, `demo` and `mcp` is a function of `probe` with "
    "the same argument names; [commands](commands.md) says what each does in full. Every result "
    "has `headline()`, its sentences; `to_frame()`, a table; `to_json()`, the document of "
    "`--json`; and `figure()`, for Plotly. A notebook shows the headline and the first rows.\n\n"
)
_TYPES = (
    "probe.prompt.SoftPrompt",
    "probe.prompt.KVPrefix",
    "probe.prompt.PromptPair",
    "probe.prompt.Provenance",
    "probe.vocabulary.Vocabulary",
    "probe.task.Task",
    "probe.task.Example",
    "probe.errors.ProbeError",
    "probe.errors.PromptFormatError",
    "probe.integrations.prompt_watch.PromptWatch",
    "probe.integrations.observing.Observation",
)


def page():
    """The page as the code has it."""
    functions = "".join(_function(name) for name in FUNCTIONS)
    types = "".join(f"::: {name}\n\n" for name in _TYPES)
    return f"{_HEAD}## Functions\n\n{functions}## Types\n\n{types}".rstrip() + "\n"


def _function(name):
    verb = getattr(probe, name)
    path = f"{verb.__module__}.{verb.__name__}"
    request = getattr(verb, "request", None)
    head = f"### probe.{name}\n\n::: {path}\n    options: {{show_root_heading: false, "
    if request is None:
        return f"{head}show_root_toc_entry: false}}\n\n"
    return f"{head}show_root_toc_entry: false, show_signature: false}}\n\n{_arguments(request)}\n"


def _arguments(request):
    return "| argument | default | |\n|-|-|-|\n" + "".join(_rows(request))


def _rows(request):
    for field in fields_of(request):
        if field.option.fields_of is not None:
            yield from _rows(field.option.fields_of)
        elif field.help:
            help = " ".join(field.help.split()).replace("|", "\\|")
            yield f"| `{field.name}` | {_default(field)} | {help} |\n"


def _default(field):
    if field.option.required or field.default is dataclasses.MISSING:
        return ""
    return f"`{field.default!r}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
