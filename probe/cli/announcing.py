"""Which dashboards run on a workspace, and where: told to the workspace's owner alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from probe.atomic import make_private
from probe.jobs.processes import is_alive, process_start_time
from probe.store.files import keep_file

_FILES = "dashboard-*.json"


_PAGE = """<!DOCTYPE html>
<title>probe</title>
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={address}">
"""


@contextmanager
def announced(root: Path, port: int, address: str) -> Iterator[str]:
    """Keep the address of a dashboard, its token included, while it runs.

    Args:
        root: the workspace; where it cannot be written nothing is kept.
        port: which no two dashboards share.
        address: what opens it.

    Yields:
        What a browser may be told to open: a page that leads to the address, since everybody can
        read a browser's command line; where none can be kept, the address without its token.
    """
    place = root / f"dashboard-{port}.json"
    said = {"address": address, "pid": os.getpid(), "started": process_start_time(os.getpid())}
    shown = address.partition("?")[0]
    try:
        with suppress(OSError):
            make_private(root)
            keep_file(place, json.dumps(said).encode())
            keep_file(_page(place), _PAGE.format(address=address).encode())
            shown = _page(place).as_uri()
        yield shown
    finally:
        _remove(place)


def running_dashboards(root: Path) -> list[str]:
    """Addresses of the dashboards that run on a workspace; what killed ones left is removed."""
    found = []
    for place in sorted(root.glob(_FILES)):
        with suppress(OSError):
            address = _address(place)
            if address is None:
                _remove(place)
            else:
                found.append(address)
    return found


def _page(place: Path) -> Path:
    return place.with_suffix(".html")


def _remove(place: Path) -> None:
    for kept in (place, _page(place)):
        with suppress(OSError):
            kept.unlink(missing_ok=True)


def _address(place: Path) -> str | None:
    """What a file says of a dashboard that lives."""
    try:
        said = json.loads(place.read_bytes())
        alive = is_alive(said["pid"], said["started"])
        return str(said["address"]) if alive else None
    except (ValueError, KeyError, TypeError):  # damaged
        return None
