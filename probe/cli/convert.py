"""`probe convert`: a prompt in another layout."""

from __future__ import annotations

from dataclasses import replace

from probe.cli.options import Json
from probe.cli.output import console, print_json, visible
from probe.cli.requests import takes_requests
from probe.requests import ConvertRequest


@takes_requests
def convert(asked: ConvertRequest, json: Json = False) -> None:
    """Write a prompt in another layout. Nothing is overwritten."""
    from probe import verbs

    loaded, to = verbs.load_one(str(asked.prompt)), asked.to
    path = verbs.convert(replace(asked, prompt=loaded))
    described = verbs.describe(loaded)
    written = {"prompt": loaded.name, "to": to, "path": str(path), "shape": described["shape"]}
    if json:
        print_json(written)
    else:
        shape = " × ".join(map(str, described["shape"]))
        out = console()
        out.print(visible(f"wrote {loaded.name} ({shape}) to {path} as {to}"), soft_wrap=True)
