"""`probe inspect` and `probe convert`: what each prompt is, and a prompt in another layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import typer

from probe.cli.options import Json
from probe.cli.output import cell, complain, console, print_json, say, table
from probe.cli.requests import takes_requests
from probe.requests import ConvertRequest, InspectRequest
from probe.requests.train_methods import method_words

_ALL_COLUMNS = 100
"""Characters of a terminal that has room for them."""
_WIDEST = 200
"""Characters of a base model's name in the table; JSON has it whole."""


@takes_requests
def inspect_prompts(asked: InspectRequest, json: Json = False) -> None:
    """Say what each prompt is: kind, format, method, shape, base model, digest, norms.

    And what came with it that is no part of it: trained heads, other adapters, optimizers' states.

    A folder stands for every prompt in it. A source that cannot be read is reported on stderr and
    the others are still printed; the exit code is then 1.
    """
    from probe.errors import ProbeError
    from probe.notes import note
    from probe.verbs.loading import inspect

    rows: list[dict[str, Any]] = []
    failed = False
    for source in asked.prompts:
        try:
            rows += inspect((source,))
        except ProbeError as error:
            complain(str(error))
            failed = True
    for row in rows:
        for line in row["notes"]:
            note(line)
    if json:
        print_json({"prompts": rows})
    elif rows:
        _print_table(rows)
    if failed:
        raise typer.Exit(1)


def _print_table(rows: list[dict[str, Any]]) -> None:
    columns = ["name", "format", "method", "shape", "base model", "norms", "sha256", "remarks"]
    if console().width < _ALL_COLUMNS:
        columns.remove("sha256")
    grid = table(*columns, spare=("norms", "format", "method"))
    for row in rows:
        cells = _cells(row)
        grid.add_row(*(cell(cells[column]) for column in columns))
    say(grid, *_left_out(rows))


def _cells(row: dict[str, Any]) -> dict[str, str]:
    """What the table says of a prompt, by column."""
    factor = row["embedding_factor"] or 1
    remarks = [
        "keys and values" if row["kind"] == "kv_prefix" else "",
        row["submodule"] or "",
        "" if row["trained"] else "never trained",
        f"table × {factor:.4g}" if factor != 1 else "",
        f"{len(row['left_out'])} left out" if row["left_out"] else "",
    ]
    return {
        "name": row["name"],
        "format": row["format"] or "–",
        "method": method_words(row["method"]),
        "shape": " × ".join(map(str, row["shape"])),
        "base model": (row["base_model"] or "–")[:_WIDEST],
        "norms": _range(row["norms"]),
        "sha256": (row["sha256"] or "–")[:8],
        "remarks": ", ".join(filter(None, remarks)),
    }


def _left_out(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each thing that came with prompts and is no part of them."""
    owners: dict[str, list[str]] = {}
    for row in rows:
        for one in row["left_out"]:
            shape = f" [{' × '.join(map(str, one['shape']))}]" if one["shape"] else ""
            matters = ": the prompt alone answers otherwise" if one["changes_answers"] else ""
            owners.setdefault(f"{one['name']}{shape}, {one['why']}{matters}", []).append(
                row["name"]
            )
    for what, names in owners.items():
        yield f"{', '.join(names[:3])}{', …' if names[3:] else ''} left out {what}"


def _range(norms: list[float]) -> str:
    low, high = f"{min(norms):.3g}", f"{max(norms):.3g}"
    return low if low == high else f"{low}–{high}"


@takes_requests
def convert(asked: ConvertRequest, json: Json = False) -> None:
    """Write a prompt in another layout. Nothing is overwritten."""
    from probe.store import Library
    from probe.verbs import loading

    loaded, to = Library().load_one(str(asked.prompt)), asked.to
    path = loading.convert(replace(asked, prompt=loaded))
    described = loading.describe(loaded)
    written = {"prompt": loaded.name, "to": to, "path": str(path), "shape": described["shape"]}
    if json:
        print_json(written)
    else:
        shape = " × ".join(map(str, described["shape"]))
        say(f"wrote {loaded.name} ({shape}) to {path} as {to}")
