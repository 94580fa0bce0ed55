"""Prune rows of a prompt, rewind and retrain the others, and keep what validates best."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probe.analysis.pruning import (
    RATIOS,
    KeptRows,
    PromptScore,
    State,
    best_of,
    kept_rows,
    row_counts,
)
from probe.bootstrap import Bootstrap, Estimate
from probe.datasets import sample
from probe.errors import DataError, NotDecodableError
from probe.notes import collected, note
from probe.prompt import SoftPrompt
from probe.requests import PruneRequest, takes
from probe.results import Result
from probe.store import Workspace
from probe.task import Example, Task
from probe.texts import counted
from probe.verbs.ablating import task_with_labels
from probe.verbs.decoding import with_peft_start
from probe.verbs.evaluating import some_examples
from probe.verbs.held_out import share_set_aside
from probe.verbs.prompts import LoadedPrompt, load_single, open_model
from probe.verbs.row_pruning import RowPruning

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from probe.training.pruning import Rewound


@dataclass(frozen=True)
class Pruned(Result):
    """What `probe prune` found, and the prompt that it kept."""

    prompt: str
    model: str
    task: str
    metric: str
    template: str
    """Of the unpruned prompt."""
    label_words: tuple[str, ...]
    by: str
    """What made a row important."""
    importance_nats: tuple[Estimate, ...]
    """Of each row: rise of the loss without it, or mean |gradient × input|."""
    ranking_examples: int
    rewound: Rewound
    """Where rows were retrained from: tokens, training or present, their present values."""
    steps: int
    learning_rate: float
    validation_examples: int
    unpruned: PromptScore
    """On the validation examples, as all of `kept`."""
    kept: tuple[KeptRows, ...]
    chosen_rows: tuple[int, ...]
    """Of the best on the validation examples."""
    chosen: State
    test_examples: int
    test_unpruned: PromptScore | None
    """None where no test examples were asked for, or there are none."""
    test: PromptScore | None
    """Of the chosen prompt, with the paired change from the unpruned one."""
    saved: str
    """The chosen prompt as the workspace keeps it, `name@version`."""
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def kept_best(self) -> KeptRows:
        """The pruning of the chosen prompt."""
        return next(one for one in self.kept if one.rows == self.chosen_rows)

    def headline(self) -> list[str]:
        """Which rows are kept, what that is worth, and how it was retrained."""
        retrained = self.chosen == "retrained"
        length, rows = len(self.importance_nats), len(self.chosen_rows)
        validated: PromptScore = getattr(self.kept_best, self.chosen)
        split, before, after = "validation", self.unpruned, validated
        if self.test is not None and self.test_unpruned is not None:
            split, before, after = "test", self.test_unpruned, self.test
        lines = [
            f"{rows} of {counted(length, 'row')} of {self.prompt} kept"
            f"{', rewound and retrained' if retrained else ' as they are'}: {split} "
            f"{self.metric.replace('_', ' ')} {after.score.value:.3f}, "
            f"{before.score.value:.3f} before{_change(after)}.",
        ]
        if validated.rank <= self.unpruned.rank:
            lines.append("On the validation examples no pruning is better than the unpruned one.")
        if self.rewound == "present":
            lines.append("Rows were retrained from their present values: their start is not known.")
        return [*lines, f"Kept as {self.saved}."]

    def figures(self) -> dict[str, go.Figure]:
        """Scores by rows kept."""
        from probe.charts import pruning_lines

        length = len(self.importance_nats)
        lines = pruning_lines(self.kept, self.unpruned, length=length, metric=self.metric)
        return {"Score by rows kept": lines}

    def _rows(self) -> list[dict[str, Any]]:
        """One row per prompt: the unpruned one, and each pruning in both states."""
        whole = tuple(range(len(self.importance_nats)))
        rows = [_table_row("unpruned", whole, self.unpruned)]
        for one in self.kept:
            rows.append(_table_row("pruned", one.rows, one.pruned))
            rows.append(_table_row("retrained", one.rows, one.retrained))
        return rows


def _change(found: PromptScore) -> str:
    return "" if found.score_change is None else f" (change {found.score_change:+.3f})"


def _table_row(state: str, rows: Sequence[int], found: PromptScore) -> dict[str, Any]:
    low, high = found.score.ends
    change = found.score_change
    changes = (0.0, 0.0, 0.0) if change is None else (change.value, *change.ends)
    return {
        "state": state,
        "rows": len(rows),
        "positions": " ".join(map(str, rows)),
        "score": found.score.value,
        "low": low,
        "high": high,
        "loss_nats": found.loss_nats.value,
        **dict(zip(("change", "change_low", "change_high"), changes, strict=True)),
    }


@takes(PruneRequest)
def prune(asked: PruneRequest) -> Pruned:
    """Prune rows by their importance on training examples, rewind, retrain, choose on validation.

    All numbers of rows are retrained in one pass of the model. The best prompt on the validation
    examples, retrained or not, is kept in the workspace and scored once on the test examples.

    Raises:
        DataError: the task cannot be read, has no labels, or lacks training or validation examples.
        ModelNotFoundError: no model is known, or it cannot be loaded.
        NotDecodableError: the prompt is a prefix, a pair, or a decoder's.
        ProbeError: the prompt cannot be read or does not fit, or has not so many rows.
    """
    loaded = load_single(asked)
    prompt = _require_rows(loaded)
    counts = row_counts(len(prompt), asked.keep, () if asked.keep else asked.ratio or RATIOS)
    with collected() as notes:
        task = _task(asked, loaded)
        from probe.training.pruning import beginning_of, retraining_of

        model = open_model(asked, [loaded])
        prompt = with_peft_start(prompt, asked.model)
        config = retraining_of(str(loaded.model), prompt, asked.steps, asked.lr)
        work = RowPruning(
            model, loaded, prompt, task, config, beginning_of(model, task, prompt), asked
        )
        found = _pruned(work, counts, Workspace(asked.workspace))
    return dataclasses.replace(found, notes=tuple(notes))


def _require_rows(loaded: LoadedPrompt) -> SoftPrompt:
    prompt = loaded.single
    if not isinstance(prompt, SoftPrompt):
        raise NotDecodableError(
            f"{loaded.name} is a prefix of keys and values: pruning needs a prompt of rows"
        )
    if prompt.submodule == "decoder":
        raise NotDecodableError(
            f"{loaded.name} is a decoder's prompt: pruning needs one that the encoder reads"
        )
    return prompt


def _task(asked: PruneRequest, loaded: LoadedPrompt) -> Task:
    """The task in the prompt's words, its examples parted as when the prompt was trained.

    Where that set nothing aside the usual share is, and the prompt has seen it.
    """
    whole = share_set_aside(loaded) == 0
    prompts = [] if whole else [loaded]
    found = task_with_labels(asked.task, asked.data_dir, "pruning", prompts, "train")
    if whole and loaded.one.task == found.name:
        note(
            f"{loaded.name} was trained with nothing set aside: unless the task has validation "
            "examples of its own, it has seen those that pruning chooses on"
        )
    for split in ("train", "validation"):
        if not getattr(found, split):
            raise DataError(
                f"task {found.name} has no {split} examples: pruning ranks and retrains rows on "
                "training examples and chooses on validation examples"
            )
    worded = loaded.worded(found, asked.template, asked.label_word)
    return dataclasses.replace(
        worded, train=found.train, validation=found.validation, test=found.test
    )


def _pruned(work: RowPruning, counts: Sequence[int], workspace: Workspace) -> Pruned:
    """Rank, prune, retrain, choose and keep."""
    asked, task = work.asked, work.task
    ranking = some_examples(task, "train", asked.limit)
    importance = Bootstrap(len(ranking), seed=asked.seed).estimates(work.importance(ranking))
    every = [kept_rows([one.value for one in importance], count) for count in counts]
    pruned = [work.without_others(rows) for rows in every]
    retrained, rate = work.retrained(every)
    validation = sample(task.validation, work.config.eval_examples)
    whole = range(len(work.prompt))
    variants = zip([*pruned, *retrained], [*every, *every], strict=True)
    unpruned, *scores = work.scores([(work.prompt, whole), *variants], validation)
    kept = tuple(map(KeptRows, every, scores[: len(every)], scores[len(every) :]))
    number, state = best_of(kept)
    chosen = (retrained if state == "retrained" else pruned)[number]
    test = sample(task.test, asked.test_examples) if asked.test_examples else ()
    if asked.test_examples and not test:
        note(f"task {task.name} has no test examples: the chosen prompt has no test score")
    compared = [(work.prompt, whole), (chosen, every[number])]
    tested = work.scores(compared, test) if test else [None, None]
    validated = getattr(kept[number], state)
    metrics = _metrics(work.metric, "validation", validated, validation)
    metrics |= _metrics(work.metric, "test", tested[1], test)
    named = _named(work, chosen, every[number], state, metrics)
    return Pruned(
        prompt=work.loaded.name,
        model=str(work.loaded.model),
        task=task.name,
        metric=work.metric,
        template=task.template,
        label_words=task.spelled_words,
        by=asked.by,
        importance_nats=tuple(importance),
        ranking_examples=len(ranking),
        rewound=work.beginning.rewound,
        steps=work.config.steps,
        learning_rate=rate,
        validation_examples=len(validation),
        unpruned=unpruned,
        kept=kept,
        chosen_rows=every[number],
        chosen=state,
        test_examples=len(test),
        test_unpruned=tested[0],
        test=tested[1],
        saved=workspace.save(named).id,
        seed=asked.seed,
    )


def _metrics(
    metric: str, split: str, found: PromptScore | None, examples: Sequence[Example]
) -> dict[str, Any]:
    """What the kept prompt's file says of its scores."""
    if found is None:
        return {}
    return {
        f"{split}_{metric}": found.score.value,
        f"{split}_loss_nats": found.loss_nats.value,
        f"{split}_examples": len(examples),
    }


def _named(
    work: RowPruning, chosen: SoftPrompt, kept: Sequence[int], state: State, metrics: dict[str, Any]
) -> SoftPrompt:
    """The chosen prompt under its name, with where its rows come from."""
    origin = work.prompt.provenance
    told = {
        "prompt": work.loaded.name,
        "sha256": None if origin is None else origin.sha256,
        "rows": list(kept),
        "of": len(work.prompt),
        "by": work.asked.by,
        "state": state,
        "rewound": work.beginning.rewound if state == "retrained" else None,
    }
    worded = {"template": work.worded(kept).template, "label_words": work.task.words}
    return dataclasses.replace(
        chosen,
        name=work.asked.name or f"{work.loaded.name.partition('@')[0]}-pruned",
        task=work.task.name,
        config={**chosen.config, **worded, "pruned": told},
        metrics=metrics,
    )
