"""Packs on a Ray cluster: the same worker function, started again where a machine is lost."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from probe.errors import MissingExtraError, ProbeError, TrainingError, words_of

if TYPE_CHECKING:
    from probe.studies.packs import AnyPack

_LISTENER_S = 10.0
_RETRIES = 3
"""How often a pack is started again whose worker or machine was lost."""


def spread(
    packs: Sequence[AnyPack], address: str, *, gpu_share: float
) -> Iterator[tuple[AnyPack, list[bytes]]]:
    """Packs with their results, as they finish.

    Each pack takes one core, and its worker one thread. The machines of a cluster need `probe`
    installed, and models and data under the same names and paths.

    Raises:
        MissingExtraError: Ray is not installed.
        TrainingError: there is no cluster, or a pack was lost too often.
        ProbeError: a run cannot be done as it was asked for.
    """
    ray = _ray()
    mine = not ray.is_initialized()
    if mine:
        _connect(ray, address)
    try:
        yield from _results(ray, packs, gpu_share)
    finally:
        if mine:
            ray.shutdown()


def _results(
    ray: Any, packs: Sequence[AnyPack], gpu_share: float
) -> Iterator[tuple[AnyPack, list[bytes]]]:
    task = ray.remote(num_cpus=1, num_gpus=gpu_share, max_retries=_RETRIES)(_alone)
    waiting = {task.remote(pack): pack for pack in packs}
    try:
        while waiting:
            (ready, *_), _ = ray.wait(list(waiting))
            pack = waiting.pop(ready)
            yield pack, _result(ray, ready)
    finally:
        for reference in waiting:
            ray.cancel(reference, force=True)


def _result(ray: Any, reference: Any) -> list[bytes]:
    try:
        files: list[bytes] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ProbeError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise TrainingError("a pack was lost on the Ray cluster more often than it is started "
                            f"again: {words_of(error)}") from error  # fmt: skip
    return files


def _alone(pack: AnyPack) -> list[bytes]:
    """One pack in a worker of the cluster, with one thread."""
    import torch

    torch.set_num_threads(1)
    from probe.studies.packs import work

    return work(pack)


def _ray() -> Any:
    # Ray 2.60 warns of its own next default otherwise; a worker of ours needs no GPU hidden.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "distributed") from error
    return ray


def _connect(ray: Any, address: str) -> None:
    try:
        _require_listener(address)
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"no Ray cluster at {address} ({words_of(error)}): start one with `ray start --head`, "
            "or choose local"
        ) from error


def _require_listener(address: str) -> None:
    """Fail at once where nobody listens: Ray itself tries for minutes."""
    if address in ("local", "auto"):
        return
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise ValueError("expected local, auto or HOST:PORT")
    socket.create_connection((host, int(port)), timeout=_LISTENER_S).close()
