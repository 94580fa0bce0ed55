"""What a job was asked to do: `config.json`, also as older versions wrote it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from probe.live import IN_MEMORY
from probe.store.card import workspace_name
from probe.store.files import require_kinds

JobKind = Literal["train", "distill", "wayward", "sweep", "readings"]
TRAININGS: tuple[JobKind, ...] = ("train", "distill")
"""Kinds of job that train one prompt, or its folds; the others are studies of many trainings."""
RECORDED_BY = "recorded_by"
"""Key of a request that no worker of ours does: who wrote the run down, in another's process."""
_ABOUT = ("name", "created", "command")
"""What a configuration says besides its kind and what was asked."""


@dataclass(frozen=True)
class JobConfig:
    """What a job was asked to do; written once, but for a training that is to go further."""

    kind: JobKind
    name: str
    """Of a training the prompt's; of a study for people, of tasks and models."""
    request: Mapping[str, Any]
    """All that its worker needs, as a document: names and full paths, nothing left open."""
    created: str
    """ISO 8601 in UTC."""
    command: tuple[str, ...] = field(default=())
    """The command line that asked for it, where one did."""

    @property
    def id(self) -> str | None:
        """Name of the folder of a study: the same request, the same folder. None for trainings."""
        if self.is_training:
            return None
        text = json.dumps(self.request, sort_keys=True, default=list)
        digest = hashlib.sha256(f"{self.kind} {text}".encode()).hexdigest()
        return f"{self.kind}-{workspace_name(self.name)[:40]}-{digest[:8]}"

    @property
    def is_training(self) -> bool:
        """Whether it trains one prompt, or its folds; a study trains many."""
        return self.kind in TRAININGS

    @property
    def is_recorded(self) -> bool:
        """Whether another's process trains, and no worker can go on with it."""
        return RECORDED_BY in self.request

    @property
    def has_workers(self) -> bool:
        """Whether a worker can do it: no training that is recorded, nor on a model in memory."""
        return not (self.is_recorded or str(self.request.get("model")).endswith(IN_MEMORY))

    @property
    def steps(self) -> int | None:
        """Updates that a training was asked for; None for studies."""
        return int(self.request["training"]["steps"]) if self.is_training else None

    def document(self) -> bytes:
        """The bytes of `config.json`."""
        return json.dumps(asdict(self), indent=1).encode()


def config_of(document: dict[str, Any]) -> JobConfig:
    """The configuration that a document describes, also one of an older version.

    Raises:
        ValueError: it describes none; also TypeError and KeyError.
    """
    if "request" not in document:
        document = _renewed(document)
    if document["kind"] not in get_args(JobKind) or not isinstance(document["request"], Mapping):
        raise ValueError(f"no job of kind {document['kind']!r}")
    config = JobConfig(**document | {"command": tuple(document.get("command", ()))})
    require_kinds(config, dict.fromkeys(("name", "created", "command"), (str,)))
    _require_request(config)
    return config


def _require_request(config: JobConfig) -> None:
    """Refuse a request without what every look at a job reads of it."""
    asked = config.request
    if config.is_training:
        training = asked["training"]
        words = (asked["model"], training["method"])
        sound = type(training["steps"]) is int and all(type(one) is str for one in words)
    else:
        lists = () if config.kind == "readings" else ("models", "tasks")  # it trains on texts
        sound = all(type(asked[name]) is list for name in lists)
    if not sound:
        raise ValueError("a request with parts of another kind")


def _renewed(document: dict[str, Any]) -> dict[str, Any]:
    """The document of an older version as it is written now.

    Studies had `settings` in place of `request`; trainings had neither, and no kind.
    """
    about = {key: document[key] for key in _ABOUT if key in document}
    if "settings" in document:
        return about | {"kind": document["kind"], "request": document["settings"]}
    if not {"model", "task", "training"} <= document.keys():
        raise ValueError("no kind and no request")
    asked = {key: value for key, value in document.items() if key not in _ABOUT}
    asked["label_word"] = asked.pop("label_words", [])
    return about | {"kind": "train", "request": asked}
