"""Which positions of a prompt matter for a task, and where the text looks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from probe.analysis.ablation import KINDS, Ablation
from probe.analysis.ablation import ablate as ablation_of
from probe.analysis.attention import AttentionMass, attention_mass
from probe.analysis.attribution import Attributed, attributed, level
from probe.analysis.rank_agreement import RankAgreement, rank_agreements
from probe.bootstrap import Bootstrap
from probe.errors import DataError, NotDecodableError
from probe.notes import collected
from probe.prompt import AnyPrompt, SoftPrompt
from probe.protocols import ModelPrompt, Score
from probe.requests import AblateRequest, takes
from probe.requests.shared import Split
from probe.requests.sources import Place, TaskSource
from probe.results import Result
from probe.task import Example, Task
from probe.verbs.decoding import with_peft_start
from probe.verbs.evaluating import some_examples
from probe.verbs.held_out import as_trained
from probe.verbs.prompts import LoadedPrompt, load_single, open_model

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from probe.evaluation import Condition
    from probe.models import FrozenModel


@dataclass(frozen=True, eq=False)
class Ablated(Result):
    """What `probe ablate` found."""

    model: str
    task: str
    split: Split
    template: str
    label_words: tuple[str, ...]
    ablation: Ablation
    attention: AttentionMass
    attributions: tuple[Attributed, ...] = ()
    """Where they were asked for."""
    agreements: tuple[RankAgreement, ...] = ()
    """Of the changes and the attributions, every two."""
    notes: tuple[str, ...] = ()
    """What was not done as it might seem: texts that were cut, another base model, …"""
    _whole: ClassVar[str] = "ablation"

    def figures(self) -> dict[str, go.Figure]:
        """Every kind of change, parts by gradients where they were asked for, then attention."""
        from probe.charts import attribution_bars

        figures = super().figures()
        if self.attributions:
            parts = {one.method.replace("_", " "): one.positions for one in self.attributions}
            figures["Parts of each position in the loss, by gradients"] = attribution_bars(parts)
        return figures | self.attention.figures()


@takes(AblateRequest)
def ablate(asked: AblateRequest) -> Ablated:
    """How the loss changes when each position is removed, levelled or moved, beside attention.

    A prompt whose template places its rows inside the text keeps them all: nothing is removed.

    Raises:
        DataError: the task cannot be read, has no such examples or no labels.
        ModelNotFoundError: no model is known, or it cannot be loaded.
        ProbeError: the prompt cannot be read or does not fit.
    """
    loaded = load_single(asked)
    one = loaded.single
    from probe.models import tracer

    with collected() as notes:
        task = task_with_labels(asked.task, asked.data_dir, "ablation", [loaded], asked.split)
        examples = some_examples(task, asked.split, asked.limit)
        condition = loaded.condition(loaded.worded(task, asked.template, asked.label_word))
        placed = "{prompt:" in condition.task.template
        kinds = [kind for kind in KINDS if kind != "removed" or not placed]
        opened = open_model(asked, [loaded])
        score = _score(opened, condition)
        found = ablation_of(one, score, examples, kinds=kinds, seed=asked.seed)
        attributions = _attributions(opened, one, condition, examples, asked)
        trace = tracer(opened, condition.task, objective=condition.objective)
        attention = attention_mass(one, trace, examples)
    return Ablated(
        model=str(loaded.model),
        task=task.name,
        split=asked.split,
        template=condition.task.template,
        label_words=condition.task.spelled_words,
        ablation=found,
        attention=attention,
        attributions=tuple(attributions),
        agreements=tuple(_agreements(found, attributions)),
        notes=tuple(notes),
    )


def _attributions(
    model: FrozenModel,
    prompt: AnyPrompt,
    condition: Condition,
    examples: Sequence[Example],
    asked: AblateRequest,
) -> list[Attributed]:
    """The parts of the rows in the change of the loss on the way to the baseline."""
    if not asked.attribution:
        return []
    from probe.models.scoring import slopes_of

    slopes = slopes_of(model, condition.task, examples, objective=condition.objective)
    if asked.baseline == "start":
        baseline = _start(model, with_peft_start(prompt, asked.model))
    else:
        baseline = level(prompt, to=asked.baseline)
    return [
        attributed(
            prompt,
            baseline,
            slopes,
            method=method,
            named=asked.baseline,
            steps=asked.points,
            bootstrap=Bootstrap(len(examples), seed=asked.seed),
        )
        for method in dict.fromkeys(asked.attribution)
    ]


def _start(model: FrozenModel, prompt: AnyPrompt) -> AnyPrompt:
    """The rows a prompt's training began from."""
    from probe.training.initialise import embedded

    if not isinstance(prompt, SoftPrompt) or prompt.init_token_ids is None:
        raise NotDecodableError(
            f"{prompt.name}: its file names no tokens that its rows started from: choose the "
            "baseline mean or zero"
        )
    rows = embedded(model, prompt.init_token_ids).numpy()
    return dataclasses.replace(prompt, embeddings=rows)


def _agreements(found: Ablation, attributions: Sequence[Attributed]) -> list[RankAgreement]:
    if not attributions:
        return []
    changes = {str(kind): found.by_example[kind] for kind in KINDS if kind in found.by_example}
    parts = {str(one.method): one.by_example for one in attributions}
    return rank_agreements({**changes, **parts}, Bootstrap(found.n, found.resamples, found.seed))


def task_with_labels(
    task: TaskSource,
    data_dir: Place | None,
    what: str,
    prompts: Sequence[LoadedPrompt],
    split: Split,
) -> Task:
    """A task whose right labels have a likelihood, its examples parted as prompts were trained.

    Args:
        task: its name, file or folder, or itself.
        data_dir: a folder of data sets.
        what: is asked of it, for the message.
        prompts: those that were trained on it tell their share.
        split: whose examples are meant.

    Raises:
        DataError: it cannot be read, or asks for texts.
    """
    found = as_trained(task, data_dir, split, prompts)
    if found.kind != "classification":
        raise DataError(
            f"task {found.name} asks for texts: {what} needs a classification task, whose right "
            "labels have a likelihood"
        )
    return found


def _score(model: FrozenModel, condition: Condition) -> Score:
    """Scores in a condition's words; without a prompt its template has no empty places either."""
    from probe.evaluation import zero_shot
    from probe.models import scorer

    with_prompt = scorer(model, condition.task, objective=condition.objective)
    alone = scorer(model, zero_shot(condition).task, objective=condition.objective)

    def score(prompt: ModelPrompt, examples: Sequence[Example]) -> NDArray[Any]:
        return (alone if prompt is None else with_prompt)(prompt, examples)

    return score
