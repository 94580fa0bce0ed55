"""Where a run stands: `status.json`, always replaced whole."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from probe.errors import WorkspaceError

State = Literal["queued", "running", "finished", "failed", "cancelled"]
"""What a worker last said; a worker that died without a word still says queued or running."""
ACTIVE: tuple[State, ...] = ("queued", "running")


@dataclass(frozen=True)
class Status:
    """What the worker of a run last wrote about itself."""

    state: State
    queued_at: float
    """Unix time at which it joined the queue."""
    pid: int | None = None
    """None until the worker has begun."""
    started: str | None = None
    """When the worker began, in the system's own words: tells it from later owners of its pid."""
    heartbeat: float = 0.0
    """Unix time of its last sign of life."""
    activity: str = ""
    """What it is doing: waiting, loading, training, scoring."""
    began: int | None = None
    """The step it goes on from; None until the training is set up."""
    step: int = 0
    """Updates made."""
    loss_nats: float | None = None
    """Of the last update."""
    tokens_per_s: float | None = None
    eta_s: float | None = None
    """Seconds to the last step, by the median of recent ones."""
    validation: dict[str, Any] | None = None
    """The last one: metric, value, loss_nats, examples."""
    message: str = ""
    """Why it failed or stopped, or a warning."""
    notes: tuple[str, ...] = ()
    """What was not done as it might seem: texts that were cut, and the like."""
    prompts: tuple[str, ...] = ()
    """Workspace prompts it has made, `name@version`."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """What these score."""

    def document(self) -> bytes:
        """The bytes of `status.json`."""
        return json.dumps(asdict(self), indent=1, allow_nan=False).encode()


def read_status(path: Path) -> Status:
    """The status a file holds.

    Raises:
        WorkspaceError: the file is missing or is no status.
    """
    document = read_fields(path, Status)
    if document.get("state") not in get_args(State):
        raise WorkspaceError(
            f"{path} holds the state {document.get('state')!r}, expected one of "
            f"{', '.join(get_args(State))}: delete the run"
        )
    lists = {name: tuple(document.get(name, ())) for name in ("prompts", "notes")}
    return Status(**document | lists)


def read_fields(path: Path, kind: type[Any]) -> dict[str, Any]:
    """A JSON object with the fields of a dataclass, all of those without default among them.

    Raises:
        WorkspaceError: the file is missing or holds something else.
    """
    try:
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict):
            raise ValueError("not an object")
        if unknown := set(document) - {field.name for field in fields(kind)}:
            raise ValueError(f"unknown fields {sorted(unknown)}")
        kind(**document)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise WorkspaceError(
            f"{path} cannot be read ({str(error)[:120]}): delete the run and start it again"
        ) from error
    return document
