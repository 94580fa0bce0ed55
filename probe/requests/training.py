"""What `probe train` is asked, and what a recorded search recommends for a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Annotated, Any

from probe.requests.base import Option, fields_of
from probe.requests.shared import OfObjects, OnData, TrainedOn
from probe.requests.sources import LabelWord, ModelSource, Named, read_label_word
from probe.requests.train_config import TrainConfig

TEST_EXAMPLES = 2000


@dataclass(frozen=True)
class TrainRequest(OfObjects, OnData, TrainedOn):
    """Train a soft prompt and keep it in the workspace."""

    model: Annotated[ModelSource | None, Option(complete="model")] = None
    """The frozen model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. Default:
    smollm2 where it is installed, else builtin."""
    task: Annotated[Named | None, Option(complete="task")] = None
    """A task's name, its task.toml or the folder of one. Or a data file with a text and a label in
    each row. Rows of the paper's tasks come from the hub."""
    training: Annotated[Mapping[str, Any], Option(fields_of=TrainConfig)] = field(
        default_factory=dict
    )
    """How to train; what it leaves open is as recommended for the model, else at its default."""
    _: KW_ONLY
    label_word: Annotated[tuple[LabelWord, ...], Option(parse=read_label_word)] = ()
    """Repeat it, once per label in label order; 'great|good' gives a label two words. Default: the
    task's own; of a data file, its labels."""
    name: str | None = None
    """Of the prompt in the workspace. Default: task and method."""
    folds: Annotated[int | None, Option(minimum=2)] = None
    """Train so many prompts at once, as a cross-validation."""
    test_examples: Annotated[int, Option(minimum=0)] = TEST_EXAMPLES
    """At most so many test examples, from all over the split, score the finished prompt; 0 scores
    none."""

    def check(self) -> None:
        """Take a whole configuration, and fields as options spell them."""
        given: Any = self.training
        given = given.to_dict() if isinstance(given, TrainConfig) else given
        spelled = {field.flag.removeprefix("--"): field.name for field in fields_of(TrainConfig)}
        named = {spelled.get(key.replace("_", "-"), key): value for key, value in given.items()}
        object.__setattr__(self, "training", named)

    @cached_property
    def config(self) -> TrainConfig:
        """The training with every field, as it stands.

        Raises:
            TrainingError: a field is unknown or out of its range.
        """
        return TrainConfig.from_dict(self.training)


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
