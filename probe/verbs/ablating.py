"""Which positions of a prompt matter for a task, and where the text looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.analysis.ablation import KINDS, Ablation
from probe.analysis.ablation import ablate as ablation_of
from probe.analysis.attention import AttentionMass, attention_mass
from probe.errors import DataError, ProbeError
from probe.notes import collected
from probe.prompt import AnyPrompt, KVPrefix, PromptPair, SoftPrompt
from probe.protocols import ModelPrompt, Score
from probe.requests.shared import Split
from probe.store import Workspace
from probe.task import Example, LabelWords, Task
from probe.verbs.asking import Asker, askers, note_doubts
from probe.verbs.checks import check_models
from probe.verbs.evaluating import some_examples
from probe.verbs.naming import option_names

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from probe.evaluation import Condition
    from probe.models import FrozenModel


@dataclass(frozen=True, eq=False)
class Ablated:
    """What `probe ablate` found."""

    model: str
    task: str
    split: Split
    template: str
    label_words: tuple[str, ...]
    ablation: Ablation
    attention: AttentionMass
    notes: tuple[str, ...] = ()
    """What was not done as it might seem: texts that were cut, another base model, …"""

    def to_json(self) -> dict[str, Any]:
        """The document `probe ablate --json` prints."""
        return {
            "model": self.model,
            "task": self.task,
            "split": self.split,
            "template": self.template,
            "label_words": list(self.label_words),
            **self.ablation.to_json(),
            "attention": self.attention.to_json(),
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per position and kind of change; `attention.to_frame()` has the layers."""
        return self.ablation.to_frame()


@option_names(label_word="label_words")
def ablate(
    prompt: AnyPrompt | str | Path,
    task: str | Path | Task,
    *,
    model: str | Path | None = None,
    data_dir: str | Path | None = None,
    split: Split = "test",
    limit: int | None = 100,
    template: str | None = None,
    label_words: LabelWords = (),
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    workspace: Workspace | None = None,
) -> Ablated:
    """How the loss changes when each position is removed, levelled or moved, beside attention.

    A prompt whose template places its rows inside the text keeps them all: nothing is removed.

    Args:
        prompt: a prompt, or anything `load` takes that holds one.
        task: a classification task, its name, file or folder.
        model: the frozen model; the prompt's own when None.
        data_dir: a folder of data sets, by task.
        split: which examples.
        limit: at most so many, drawn at random but always the same ones; all when None. The cost
            grows with examples × positions.
        template: the model's input, in place of the prompt's own and the task's.
        label_words: one per label, or a list of several, likewise.
        seed: of swap partners and resamples.
        device: as torch names it; a GPU if there is one when None.
        dtype: precision of the model; float32 when None.
        workspace: the default one when None.

    Raises:
        DataError: the task cannot be read, has no such examples or no labels.
        ModelNotFoundError: no model is known, or it cannot be loaded.
        ProbeError: the prompt cannot be read or does not fit.
    """
    from probe.datasets import load_task

    (asker,) = askers([prompt], model=model, workspace=workspace or Workspace())
    one = _single(asker)
    check_models([(asker.model, asker.revision)], device=device, workspace=workspace)
    whole = task if isinstance(task, Task) else load_task(task, data_dir)
    if whole.kind != "classification":
        raise DataError(
            f"task {whole.name} asks for texts: ablation needs a classification task, whose right "
            "labels have a likelihood"
        )
    examples = some_examples(whole, split, limit)
    worded = asker.worded(whole, template, label_words)
    from probe.models import load_model, tracer

    condition = asker.condition(worded)
    opened = load_model(asker.model, revision=asker.revision, device=device, dtype=dtype)
    kinds = [
        kind for kind in KINDS if kind != "removed" or "{prompt:" not in condition.task.template
    ]
    with collected() as notes:
        note_doubts(opened, [asker])
        found = ablation_of(one, _score(opened, condition), examples, kinds=kinds, seed=seed)
        attention = attention_mass(one, tracer(opened, condition.task), examples)
    return Ablated(
        model=asker.model,
        task=whole.name,
        split=split,
        template=condition.task.template,
        label_words=condition.task.spelled_words,
        ablation=found,
        attention=attention,
        notes=tuple(notes),
    )


def _single(asker: Asker) -> SoftPrompt | KVPrefix:
    if isinstance(asker.prompt, PromptPair):
        raise ProbeError(
            f"{asker.name} is an encoder and a decoder prompt: name one of them as PATH#NAME"
        )
    return asker.prompt


def _score(model: FrozenModel, condition: Condition) -> Score:
    """Scores in a condition's words; without a prompt its template has no empty places either."""
    from probe.evaluation import zero_shot
    from probe.models import scorer

    with_prompt = scorer(model, condition.task, objective=condition.objective)
    alone = scorer(model, zero_shot(condition).task, objective=condition.objective)

    def score(prompt: ModelPrompt, examples: Sequence[Example]) -> NDArray[Any]:
        return (alone if prompt is None else with_prompt)(prompt, examples)

    return score
