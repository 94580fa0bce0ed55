"""What a worker says of its job: `status.json`, replaced whole, and `metrics.jsonl`, appended."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from probe.errors import WorkspaceError
from probe.store.files import require_kinds, write_whole

T = TypeVar("T")
Record = dict[str, Any]
"""One line of `metrics.jsonl`, by one update of one prompt."""
State = Literal["queued", "running", "finished", "failed", "cancelled"]
"""What a worker last said; a worker that died without a word still says queued or running."""
ACTIVE: tuple[State, ...] = ("queued", "running")
SCORING = "scoring"
TRAINING = "training"
"""The activity during which steps are made; the worker of a training saves before it ends."""


@dataclass(frozen=True)
class Status:
    """What the worker of a job last wrote about itself."""

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
    """The step a training goes on from; None until it is set up."""
    step: int = 0
    """Updates made; of a study runs that are finished."""
    loss_nats: float | None = None
    """Of the last update."""
    tokens_per_s: float | None = None
    eta_s: float | None = None
    """Seconds to the last step, by the recent ones."""
    validation: dict[str, Any] | None = None
    """The last one: metric, value, loss_nats, examples."""
    message: str = ""
    """Why it failed or stopped, or a warning."""
    notes: tuple[str, ...] = ()
    """What was not done as it might seem: texts that were cut, and the like."""
    prompts: tuple[str, ...] = ()
    """Workspace prompts it has made, `name@version`."""
    device: str = ""
    """Where a training computes and in which precision, as `cpu, float32`."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """What these score; of a study how many runs there are, and how far the present pack is."""

    takes_turn: bool = True
    """Whether it works while no other does; a study on a cluster does not ask."""
    own_process: bool = True
    """Whether its process does nothing else and may be signalled; a notebook's may not."""

    def document(self) -> bytes:
        """The bytes of `status.json`."""
        return json.dumps(asdict(self), indent=1, allow_nan=False).encode()


_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("queued_at", "heartbeat"), (int, float)),
    **dict.fromkeys(("loss_nats", "tokens_per_s", "eta_s"), (int, float, type(None))),
    **dict.fromkeys(("activity", "device", "message", "notes", "prompts"), (str,)),
    **dict.fromkeys(("pid", "began"), (int, type(None))),
    "started": (str, type(None)),
    "step": (int,),
    "metrics": (dict,),
    "validation": (dict, type(None)),
    **dict.fromkeys(("takes_turn", "own_process"), (bool,)),
}


def queued(before: Status | None = None, *, takes_turn: bool = True) -> Status:
    """The status of a job that joins the queue now; what it had reached stays on show."""
    now = time.time()
    return replace(
        before or Status("queued", now), state="queued", queued_at=now, pid=None, started=None,
        activity="", device="", began=None, eta_s=None, message="", takes_turn=takes_turn,
        own_process=True,
    )  # fmt: skip


def read_status(path: Path) -> Status:
    """The status a file holds.

    Raises:
        WorkspaceError: the file is missing or is no status.
    """
    return read_object(path, _status_of)


def _status_of(document: dict[str, Any]) -> Status:
    if document.get("state") not in get_args(State):
        raise ValueError(
            f"state {document.get('state')!r}, expected one of {', '.join(get_args(State))}"
        )
    lists = {name: tuple(document.get(name, ())) for name in ("prompts", "notes")}
    status = Status(**document | lists)
    require_kinds(status, _KINDS)
    return status


def read_object(path: Path, make: Callable[[dict[str, Any]], T]) -> T:
    """What a JSON object describes.

    Args:
        path: its file.
        make: takes the object; raises ValueError, TypeError or KeyError where it is another.

    Raises:
        WorkspaceError: the file is missing or holds something else.
    """
    try:
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict):
            raise ValueError("not an object")
        return make(document)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise WorkspaceError(
            f"{path} cannot be read ({str(error)[:120]}): delete the run and start it again"
        ) from error


def read_records(path: Path, offset: int = 0) -> tuple[list[Record], int]:
    """The whole records from a byte offset on, and the offset behind the last of them.

    A last line that is still being written, or that a kill cut off, is left for the next reader;
    a line that is no record is passed over.
    """
    found = list(_lines(path, offset))
    records = [record for record, _ in found if record is not None]
    return records, found[-1][1] if found else offset


def append_record(log: FileIO, record: Record) -> None:
    """Write a record behind the others, in one piece.

    Args:
        log: `metrics.jsonl`, opened to append without a buffer.
        record: what is noted.

    Raises:
        OSError: the disk is full; its `filename` is set.
    """
    write_whole(log, json.dumps(record, allow_nan=False).encode() + b"\n")


def cut_records(path: Path, step: int) -> None:
    """Cut off the records after a step, and what a kill left of a line.

    In place: whoever reads the file meanwhile keeps reading the same one.
    """
    end = 0
    for record, after in _lines(path, 0):
        if record is not None and record.get("step", 0) > step:
            break
        end = after
    if path.exists():
        os.truncate(path, end)


def _lines(path: Path, offset: int) -> Iterator[tuple[Record | None, int]]:
    """Every finished line as a record, None where it is none, and the offset behind it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield _record(line), offset


def _record(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
