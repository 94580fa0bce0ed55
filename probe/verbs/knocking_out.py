"""In which layers a prompt acts: each is cut off from it in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from probe.analysis.knock_out import CutLosses, LayerKnockOut, Losses
from probe.analysis.knock_out import knock_out as knock_out_of
from probe.errors import NotDecodableError
from probe.notes import collected
from probe.prompt import AnyPrompt
from probe.requests import KnockOutRequest, takes
from probe.requests.shared import Split
from probe.requests.sources import Contexts
from probe.results import Result
from probe.verbs.ablating import task_with_labels
from probe.verbs.evaluating import some_examples
from probe.verbs.prompts import LoadedPrompt, load_single, open_model
from probe.verbs.reading import own_template

if TYPE_CHECKING:
    from probe.evaluation import Condition
    from probe.models import FrozenModel
    from probe.task import Example


@dataclass(frozen=True)
class KnockedOut(Result):
    """What `probe knock-out` found."""

    model: str
    task: str | None
    """None where contexts were answered."""
    split: Split | None
    template: str
    label_words: tuple[str, ...]
    knock_out: LayerKnockOut
    notes: tuple[str, ...] = ()
    _whole: ClassVar[str] = "knock_out"


@takes(KnockOutRequest)
def knock_out(asked: KnockOutRequest) -> KnockedOut:
    """How the loss changes when layers do not see the prompt: one, it and all before, all behind.

    Attention from text positions to the prompt's rows is left out in these layers, exactly; rows
    still attend to what they did, and positions are counted as before.

    Raises:
        DataError: the task cannot be read, has no such examples or no labels.
        InjectionError: the model has no attention that can be cut.
        ModelNotFoundError: no model is known, or it cannot be loaded.
        ProbeError: the prompt cannot be read or does not fit.
    """
    loaded = load_single(asked)
    one = loaded.single
    examples: Sequence[Example] = ()
    condition: Condition | None = None
    with collected() as notes:
        if asked.task is not None:
            task = task_with_labels(asked.task, asked.data_dir, "knock-out", [loaded], asked.split)
            examples = some_examples(task, asked.split, asked.limit)
            condition = loaded.condition(loaded.worded(task, asked.template, asked.label_word))
        opened = open_model(asked, [loaded])
        if condition is None:
            template = _template(opened, loaded, asked.template)
            measure = _divergences(opened, one, template, asked.contexts, asked.seed)
        else:
            template = condition.task.template
            measure = _label_losses(opened, one, condition, examples)
        found = knock_out_of(
            loaded.name,
            measure,
            opened.layers,
            measured="kl" if condition is None else "loss",
            window=asked.window,
            seed=asked.seed,
        )
    return KnockedOut(
        model=str(loaded.model),
        task=None if condition is None else condition.task.name,
        split=None if condition is None else asked.split,
        template=template,
        label_words=() if condition is None else condition.task.spelled_words,
        knock_out=found,
        notes=tuple(notes),
    )


def _label_losses(
    model: FrozenModel, prompt: AnyPrompt, condition: Condition, examples: Sequence[Example]
) -> CutLosses:
    """Minus the log-likelihood of the right labels, and whether they are the likeliest."""
    from probe.evaluation import zero_shot
    from probe.models import prepare, scorer
    from probe.models.knock_out import KnockOut

    knocked, task, objective = KnockOut(model), condition.task, condition.objective
    injection = model.injection_of([prompt])
    few = prepare(model, task, examples[:2], objective=objective, prompt_length=injection.longest)
    knocked.require_cuts(injection, few)
    labels = np.array([example.label for example in examples])
    score = scorer(knocked.model, task, objective=objective)
    alone = scorer(model, zero_shot(condition).task, objective=objective)

    def measure(layers: Sequence[int] | None) -> Losses:
        if layers is None:
            scores = alone(None, examples)
        else:
            with knocked.without(layers):
                scores = score(prompt, examples)
        right = (scores.argmax(1) == labels).astype(np.float64)
        return Losses(-scores[np.arange(len(labels)), labels], right)

    return measure


def _divergences(
    model: FrozenModel,
    prompt: AnyPrompt,
    template: str,
    contexts: Contexts | None,
    seed: int,
) -> CutLosses:
    """KL(whole prompt ‖ cut) in nats per token of the answers with the whole prompt."""
    from probe.distillation.explained import row_divergences
    from probe.jobs.distilling import contexts_of
    from probe.models.knock_out import KnockOut
    from probe.readings.plug_in import effect_of

    given = None if contexts is None else contexts_of(contexts)
    effect = effect_of(model, prompt, template=template, contexts=given, seed=seed)
    knocked = KnockOut(model)
    knocked.require_cuts(model.injection_of([prompt]), effect.rows[:2])

    def measure(layers: Sequence[int] | None) -> Losses:
        if layers is None:
            return Losses(effect.without)
        with knocked.without(layers):
            return Losses(row_divergences(knocked.model, effect.rows, prompt))

    return measure


def _template(model: FrozenModel, loaded: LoadedPrompt, given: str | None) -> str:
    from probe.readings.promoted import frame_template

    if not model.writes:
        raise NotDecodableError(
            f"{model.name} ({model.family}) answers no contexts: name a task with labels, such as "
            "--task sst2 (task= in Python)"
        )
    return given or own_template(loaded) or frame_template(model, len(loaded.single))
