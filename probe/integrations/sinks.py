"""Where observations go besides the run's folder: trackers, and files of JSON lines.

Trackers are imported when they are asked for. Weights & Biases runs offline unless `WANDB_MODE`, or
a run that is open already, says otherwise; nothing is sent anywhere by default.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from probe.errors import ProbeError
from probe.integrations.observing import Observation
from probe.paths import at_home
from probe.texts import did_you_mean

_PROJECT = "probe"


class Sink(Protocol):
    """Takes what is seen."""

    def write(self, seen: Observation) -> None:
        """One observation."""
        ...

    def close(self) -> None:
        """The training is over."""
        ...


class JsonLines:
    """A file with one observation per line."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def write(self, seen: Observation) -> None:
        """One line, there at once."""
        self._file.write(json.dumps(seen.to_json()) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """Scalars and texts for TensorBoard."""

    def __init__(self, name: str, folder: Path) -> None:
        _require("tensorboard")
        writer = importlib.import_module("torch.utils.tensorboard")
        self._writer: Any = writer.SummaryWriter(str(folder / "tensorboard" / name))

    def write(self, seen: Observation) -> None:
        """The numbers, and what the readings say."""
        for name, value in seen.numbers.items():
            self._writer.add_scalar(f"prompt/{name}", value, seen.step)
        for name, text in _texts(seen).items():
            self._writer.add_text(f"prompt/{name}", text, seen.step)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class Trackio:
    """The run of trackio that is open, else one of its own in a local project."""

    def __init__(self, name: str, folder: Path) -> None:  # noqa: ARG002
        self._library = _require("trackio")
        open_run = self._library.context_vars.current_run.get()
        self._own = open_run is None
        self._run = open_run or self._library.init(project=_PROJECT, name=name)

    def write(self, seen: Observation) -> None:
        """The numbers and texts of a step."""
        self._run.log(_all(seen), step=seen.step)

    def close(self) -> None:
        """End the run, where it is ours."""
        if self._own:
            self._library.finish()


class WeightsAndBiases:
    """The run of Weights & Biases that is open, else one of its own, offline."""

    def __init__(self, name: str, folder: Path) -> None:
        library = _require("wandb")
        self._own = library.run is None
        mode = os.environ.get("WANDB_MODE", "offline")
        self._run = library.run or library.init(
            project=_PROJECT, name=name, dir=str(folder), mode=mode
        )
        self._run.define_metric("prompt/*", step_metric="prompt/step")

    def write(self, seen: Observation) -> None:
        """The numbers and texts, by a step of their own: the Trainer counts otherwise."""
        self._run.log({**_all(seen), "prompt/step": seen.step})

    def close(self) -> None:
        """End the run, where it is ours."""
        if self._own:
            self._run.finish()


_TRACKERS: dict[str, Callable[[str, Path], Sink]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": WeightsAndBiases,
}


def open_sinks(asked: Sequence[str | Path | Sink], name: str, folder: Path) -> list[Sink]:
    """The sinks that are asked for.

    Args:
        asked: tensorboard, trackio, wandb, a `.jsonl` file, or objects with `write` and `close`.
        name: of the run.
        folder: where those write that write files.

    Raises:
        ProbeError: there is no such sink, or its library is not installed.
    """
    return [_opened(one, name, folder) for one in asked]


def require_sinks(asked: Sequence[str | Path | Sink]) -> None:
    """Refuse sinks that there are not, before anything is trained.

    Raises:
        ProbeError: there is no such sink, or its library is not installed.
    """
    for one in asked:
        if isinstance(one, str) and one in _TRACKERS:
            _require(one)
        elif isinstance(one, str | Path) and Path(one).suffix != ".jsonl":
            raise ProbeError(
                f"expected a sink of {', '.join(_TRACKERS)} or a file that ends in .jsonl, found "
                f"{str(one)!r}{did_you_mean(str(one), list(_TRACKERS))}"
            )


def _opened(asked: str | Path | Sink, name: str, folder: Path) -> Sink:
    require_sinks([asked])
    if not isinstance(asked, str | Path):
        return asked
    try:
        if isinstance(asked, str) and asked in _TRACKERS:
            return _TRACKERS[asked](name, folder)
        return JsonLines(at_home(asked))
    except Exception as error:  # a tracker's own, of many kinds: no login, no room, no network
        raise ProbeError(
            f"{asked} cannot be opened ({type(error).__name__}: {' '.join(str(error).split())}): "
            "mend that, or leave it out of sinks="
        ) from error


def _require(library: str) -> Any:
    """A tracker's library."""
    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ProbeError(f"{library} is not installed: run `pip install {library}`") from error


def _texts(seen: Observation) -> dict[str, str]:
    warnings = {"warnings": "\n".join(seen.warnings)} if seen.warnings else {}
    return {f"reading/{name}": text for name, text in seen.readings.items()} | warnings


def _all(seen: Observation) -> dict[str, Any]:
    return {f"prompt/{name}": one for name, one in {**seen.numbers, **_texts(seen)}.items()}
