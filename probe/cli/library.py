"""`probe library` and `push`: the prompts that are kept, and one of them on a hub."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probe.cli.asking import print_lines
from probe.cli.completion import complete_workspace_prompt
from probe.cli.options import Json
from probe.cli.output import cell, complain, headline, rounded, say, show, table
from probe.cli.requests import App, takes_requests
from probe.requests import AddToLibraryRequest, PushRequest
from probe.requests.train_methods import method_words
from probe.results import Rows
from probe.texts import counted

if TYPE_CHECKING:
    from probe.store import Card
    from probe.verbs.publishing import Pushed


app = App(invoke_without_command=True)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A workspace prompt: NAME (its newest version) or NAME@VERSION.",
        autocompletion=complete_workspace_prompt,
    ),
]
Tags = Annotated[list[str], typer.Argument(metavar="TAG", help="One or more tags.")]


@app.callback()
def listing(
    context: typer.Context,
    json: Json = False,
    tag: Annotated[
        str | None, typer.Option("--tag", help="Only workspace prompts that carry this tag.")
    ] = None,
) -> None:
    """List the workspace's prompts and the samples, or do what the subcommand says."""
    if context.invoked_subcommand is None:
        from probe.verbs import prompt_library

        show(prompt_library.library(tag=tag), print_rows, json=json)


@app.command()
@takes_requests
def add(asked: AddToLibraryRequest, json: Json = False) -> None:
    """Keep every trained prompt of the sources. A name that exists gets its next version."""
    from probe.verbs import prompt_library

    _print_cards(prompt_library.add_to_library(asked), json=json)


@app.command()
def tag(name: Name, tags: Tags, json: Json = False) -> None:
    """Add tags to a prompt."""
    from probe.store import Workspace

    _print_cards([Workspace().tag(name, *tags)], json=json)


@app.command()
def untag(name: Name, tags: Tags, json: Json = False) -> None:
    """Take tags off a prompt."""
    from probe.store import Workspace

    _print_cards([Workspace().untag(name, *tags)], json=json)


@app.command()
def note(
    name: Name,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The note; empty removes it.")],
    json: Json = False,
) -> None:
    """Set a prompt's note."""
    from probe.store import Workspace

    _print_cards([Workspace().annotate(name, text)], json=json)


@app.command()
def log(name: Name, json: Json = False) -> None:
    """Show every version of a prompt: when it was added and where it came from."""
    from probe.verbs import prompt_library

    show(Rows(prompt_library.prompt_log(name), "store.prompts"), print_log, json=json)


@app.command()
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Delete one version of a prompt."""
    from probe.store import Workspace

    workspace = Workspace()
    id_ = workspace.one_version(name)
    if not yes:
        typer.confirm(f"Delete {id_} for good?", abort=True, err=True)
    card = workspace.remove(id_)
    if card is None:
        complain(f"deleted {id_}, which was damaged")
    if card or json:
        _print_cards([card] if card else [], json=json)


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="TEXT", help="Words that must all occur.")],
    json: Json = False,
) -> None:
    """List prompts whose name, task, base model, method, tags or note hold every word."""
    from probe.verbs import prompt_library

    show(prompt_library.library(" ".join(words)), print_rows, json=json)


@dataclass(frozen=True)
class Publishing:
    """Whether anything is published."""

    dry_run: bool = False
    """Print the card and publish nothing."""


@takes_requests
def push(asked: PushRequest, publishing: Publishing, json: Json = False) -> None:
    """Publish a prompt on a hub, with a card that says what it is worth; --dry-run prints it."""
    from probe.verbs.publishing import push as published
    from probe.verbs.publishing import push_plan

    if publishing.dry_run:
        show(push_plan(asked), _print_card, json=json)
    else:
        show(published(asked), print_lines, json=json)


def _print_card(plan: Pushed) -> None:
    sys.stdout.write(plan.card)
    complain(headline(plan))


def _print_cards(cards: Sequence[Card], *, json: bool) -> None:
    from probe.verbs.prompt_library import library_row

    show(Rows(map(library_row, cards), "store.prompts"), print_rows, json=json)


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prompts as a table."""
    if not rows:
        say("no prompts: `probe library add FILE` keeps one")
        return
    columns = ("prompt", "where", "task", "method", "shape", "base model", "accuracy", "tags")
    kept = columns if any(row["tags"] for row in rows) else columns[:-1]
    grid = table(*kept, right=("accuracy",), spare=("where", "shape", "base model"))
    for row in rows:
        cells = (
            row["id"],
            row["where"],
            row["task"] or "–",
            method_words(row["method"]),
            " × ".join(map(str, row["shape"])),
            row["base_model"] or "–",
            rounded(row["metrics"].get("accuracy")),
            ", ".join(row["tags"]),
        )
        grid.add_row(*map(cell, cells[: len(kept)]))
    say(grid)


def print_log(rows: Sequence[Mapping[str, Any]]) -> None:
    """A paragraph per version, oldest first."""
    for row in rows:
        shape = " × ".join(map(str, row["shape"]))
        method = method_words(str(row["method"]))
        say(f"{row['id']} · {method}, {shape} · {_added(row['created'])}")
        say(*(f"  {line}" for line in _facts(row)))


def _facts(row: Mapping[str, Any]) -> Iterator[str]:
    if row["run"]:
        yield f"trained by run {row['run']}"
    if row["origin"]:
        yield f"read from {row['origin']} ({row['format']}), sha256 {str(row['sha256'])[:12]}"
    if row["stored_sha256"]:
        yield f"stored with sha256 {row['stored_sha256'][:12]}"
    if score := _score(row["metrics"]):
        yield score
    for one in row["evaluations"]:
        yield _evaluation(one)
    if row["tags"]:
        yield f"tags: {', '.join(row['tags'])}"
    if row["note"]:
        yield f"note: {row['note']}"


def _score(metrics: Mapping[str, Any]) -> str:
    """What training noted; empty where it noted nothing."""
    from probe.analysis.gains import score_sentence

    told = score_sentence(metrics)
    if not told:
        known = [
            f"{key.replace('zero_shot', 'zero-shot').replace('_', ' ')} {rounded(value)}"
            for key, value in metrics.items()
            if _is_score(value)
        ]
        return ", ".join(known)
    return f"when trained: {told[0].lower()}{told[1:]}"


def _is_score(value: object) -> bool:
    return isinstance(value, float) and 0 <= value <= 1


def _evaluation(one: Mapping[str, Any]) -> str:
    low, high = one["interval"]
    metric = str(one["metric"]).replace("_", " ")
    return (
        f"evaluated {_time(one['recorded'])}: {one['task']} {one['split']} {metric} "
        f"{one['value']:.3f} [{low:.3f}, {high:.3f}] on {counted(one['n'], 'example')}, "
        f"{one['model']}"
    )


def _added(created: str | None) -> str:
    return "a sample, which has no history" if created is None else f"added {_time(created)}"


def _time(iso: str) -> str:
    """Day and minute, in UTC as it was noted."""
    return iso[:16].replace("T", " ")
