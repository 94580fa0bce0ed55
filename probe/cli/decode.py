"""`probe decode`: the tokens each position is closest to, beside what chance would give."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from probe.cli.options import Json, Model, Prompt, usage_errors

MetricName = Literal["cosine", "l2", "dot"]
Metric = Annotated[
    MetricName,
    typer.Option("--metric", help="What near means; cosine and dot: higher is closer, l2: lower."),
]
Filter = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        help="Which tokens may be neighbours, repeatable: special, byte or unused leaves those "
        "out; words keeps tokens that begin a word; regex:PATTERN keeps tokens that match.",
    ),
]


def decode(
    prompt: Prompt,
    model: Model = None,
    metric: Metric = "cosine",
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="Tokens per position.")] = 5,
    filters: Filter = None,
    one_to_one: Annotated[
        bool, typer.Option("--one-to-one", help="Give every position a token of its own.")
    ] = False,
    controls: Annotated[
        bool, typer.Option("--controls/--no-controls", help="Compare with real tokens and chance.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the controls.")] = 0,
    json: Json = False,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Also write one row per position and rank to this new file."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Also write a page that opens anywhere to this new file."),
    ] = None,
) -> None:
    """List the tokens each position is closest to, and say what that is worth.

    The prompt must be one: when a source holds several, name one as PATH#NAME. Rows that a file
    stores although they were never trained are left out.
    """
    from probe import verbs
    from probe.cli import exports

    csv, html = exports.new_place(csv), exports.new_place(html)
    with usage_errors():
        decoding = verbs.decode(
            prompt,
            model=model,
            metric=metric,
            k=k,
            filters=filters or (),
            one_to_one=one_to_one,
            controls=controls,
            seed=seed,
        )
    if csv is not None:
        exports.write_csv(decoding, csv)
    if html is not None:
        exports.write_html(decoding, html)
    if json:
        from probe.cli.output import print_json

        print_json(decoding.to_json())
    else:
        from probe.cli.decoding_table import print_decoding

        print_decoding(decoding)
