"""`probe inspect`: what each prompt is."""

from __future__ import annotations

from typing import Any

import typer

from probe.cli.options import Json, Prompts
from probe.cli.output import cell, complain, console, print_json, table


def inspect_prompts(prompts: Prompts, json: Json = False) -> None:
    """Say what each prompt is: kind, format, method, shape, base model, digest, norms.

    A folder stands for every prompt in it. A source that cannot be read is reported on stderr and
    the others are still printed; the exit code is then 1.
    """
    from probe.errors import ProbeError
    from probe.notes import note
    from probe.verbs import describe, load

    rows: list[dict[str, Any]] = []
    failed = False
    for source in prompts:
        try:
            rows += [describe(prompt) for prompt in load(source)]
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
    grid = table("name", "format", "method", "shape", "base model", "norms", "sha256", "remarks")
    for row in rows:
        prefix = "keys and values" if row["kind"] == "kv_prefix" else ""
        factor = row["embedding_factor"] or 1
        remarks = [
            prefix,
            row["submodule"] or "",
            "" if row["trained"] else "never trained",
            f"table × {factor:.4g}" if factor != 1 else "",
        ]
        cells = (
            row["name"],
            row["format"] or "–",
            row["method"].replace("_", " "),
            " × ".join(map(str, row["shape"])),
            row["base_model"] or "–",
            _range(row["norms"]),
            (row["sha256"] or "–")[:8],
            ", ".join(filter(None, remarks)),
        )
        grid.add_row(*map(cell, cells))
    console().print(grid)


def _range(norms: list[float]) -> str:
    low, high = f"{min(norms):.3g}", f"{max(norms):.3g}"
    return low if low == high else f"{low} to {high}"
