"""`probe push` and `probe pull`: a prompt to a hub with a card of what it is worth, and back."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from probe.cli.options import Json
from probe.cli.output import complain, print_headline, print_json
from probe.cli.requests import takes_requests
from probe.requests import PullRequest, PushRequest


@dataclass(frozen=True)
class Publishing:
    """Whether anything is published."""

    dry_run: bool = False
    """Print the card and publish nothing."""


@takes_requests
def push(asked: PushRequest, publishing: Publishing, json: Json = False) -> None:
    """Publish a prompt on a hub, with a card that says what it is worth; --dry-run prints it."""
    from probe import verbs

    found = verbs.push_plan(asked) if publishing.dry_run else verbs.push(asked)
    if json:
        print_json(found.to_json())
        return
    if publishing.dry_run:
        sys.stdout.write(found.card)
        complain(" ".join(found.headline()))
    else:
        print_headline(found)


@takes_requests
def pull(asked: PullRequest, json: Json = False) -> None:
    """Keep a prompt of a hub in the workspace."""
    from probe import verbs
    from probe.cli.library import print_rows

    print_rows(verbs.pull(asked), json=json)
