"""Settings that a recorded search found for a model, used where a run is asked for nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probe.requests.train_config import TrainConfig

_COMMON = {"length": 10, "steps": 200, "warmup_steps": 20, "eval_every": 50}
RECOMMENDED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "smollm2": {
        "prompt_tuning": _COMMON | {"learning_rate": 0.03, "steps": 300},
        "p_tuning": _COMMON | {"learning_rate": 0.003, "encoder": "mlp", "init": "random"},
        "prefix_tuning": _COMMON | {"learning_rate": 0.01},
    }
}
"""By model and method: the best validation scores of the grids in `recipes/smollm2`."""

_DEFAULTS = TrainConfig().to_dict()
_OTHER_LENGTHS = ("target", "template")
"""Fields that say how many rows a prompt has."""


def with_recommended(model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `TrainConfig`, with a model's recommended settings where they say nothing.

    Args:
        model: as the user names it; most have no recommended settings.
        given: what is asked for; None leaves a field open, as a missing field does.
    """
    method = str(given.get("method", "prompt_tuning"))
    found = dict(RECOMMENDED.get(model, {}).get(method, {}))
    if _tells_length(given):
        found.pop("length", None)
    if given.get("projection"):  # its rate belongs to an MLP, and was not found
        found.pop("learning_rate", None)
    return found | {
        name: value for name, value in given.items() if value is not None or name not in found
    }


def stated(config: TrainConfig, model: str) -> dict[str, Any]:
    """The fields that a request of the same training must state; the others come by themselves.

    Args:
        config: with every field.
        model: as the user names it.
    """
    usual = with_recommended(model, {"method": config.method})

    def comes_by_itself(name: str, value: object) -> bool:
        return value == _DEFAULTS[name] and (value is None or value == usual.get(name, value))

    fields = config.to_dict()
    return {name: value for name, value in fields.items() if not comes_by_itself(name, value)}


def _tells_length(given: Mapping[str, Any]) -> bool:
    start = str(given.get("init", ""))
    told = any(given.get(name) is not None for name in _OTHER_LENGTHS)
    return told or start.startswith(("text:", "prompt:"))
