"""What `probe train` is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Annotated, Any

from probe.requests.base import Option, fields_of
from probe.requests.shared import Dtype, OfObjects, OnData
from probe.requests.sources import LabelWord, ModelSource, Named, read_label_word
from probe.requests.train_config import TrainConfig

TEST_EXAMPLES = 2000


@dataclass(frozen=True)
class TrainRequest(OfObjects, OnData):
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
    device: str | None = None
    """As torch names it. Default: a GPU if there is one."""
    dtype: Dtype | None = None
    """Precision of the frozen model; prompts stay float32. Default: bfloat16 on GPUs that have it
    and, for GGUF files, on CPUs that have it; else float32."""
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
