"""What `--dry-run` prints: the plan of a training or a study, and how long it would take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from probe.cli.output import facts_table, say, show
from probe.texts import counted

if TYPE_CHECKING:
    from probe.jobs.plan import StudyPlan, TrainPlan


def print_plan(
    plan: TrainPlan | StudyPlan, facts: Mapping[str, str] | None = None, *, json: bool
) -> None:
    """What would be done; `facts` of a study's own kind come before what all studies have."""
    from probe.jobs.plan import TrainPlan

    own = _training_facts(plan) if isinstance(plan, TrainPlan) else _study_facts(plan)
    show(plan, lambda _: say(facts_table({**(facts or {}), **own})), json=json)


def _training_facts(plan: TrainPlan) -> dict[str, str]:
    from probe.jobs.eta import duration

    examples = f"{plan.train_examples:,} to train, {plan.validation_examples:,} to validate"
    batch = counted(plan.batch_size, "example")
    each = f"{counted(plan.trained_parameters, 'trained number')}"
    return {
        "model": f"{plan.model} ({plan.family}, {counted(plan.parameters, 'parameter')}, frozen)",
        "on": f"{plan.device}, {plan.dtype}",
        "task": f"{plan.task} ({plan.kind}): {plan.template}",
        "labels": _labels(plan),
        "examples": f"{examples}, {plan.test_examples:,} to test",
        "balance": _balance(plan),
        "cut texts": f"{plan.cut_texts:,}" if plan.cut_texts else "none",
        "prompt": f"{plan.method}, {counted(plan.length, 'virtual token')}, {each}",
        "prompts": f"{plan.prompts} at once",
        "start": plan.init,
        "steps": f"{plan.steps:,} of {batch} ({plan.epochs:.1f} epochs)",
        "rate": f"{plan.learning_rate:g}",
        "a step": f"{plan.step_s * 1000:,.0f} ms ({plan.tokens_per_s:,.0f} tokens/s)",
        "all steps": f"about {duration(plan.estimate_s)}, without validations and scores",
    }


def _study_facts(plan: StudyPlan) -> dict[str, str]:
    from probe.jobs.eta import duration

    shared = plan.runs - plan.trainings
    others = f", {shared:,} of which are others over again" if shared else ""
    packs = f"{counted(plan.packs, 'batch', 'batches')} of up to {plan.at_once}"
    return {
        "runs": f"{plan.runs:,}{others}",
        "trained before": f"{plan.found:,}",
        "to train": f"{plan.trainings - plan.found:,} in {packs}",
        "a step": "–" if plan.update_s is None else f"{plan.update_s * 1000:,.0f} ms per prompt",
        "all steps": f"about {duration(plan.estimate_s)}, without scores",
    }


def _labels(plan: TrainPlan) -> str:
    """Every label's words, with the tokens of the one that names it."""
    pairs = zip(plan.label_words, plan.label_tokens, strict=True)
    each = [f"{word} ({counted(tokens, 'token')})" for word, tokens in pairs]
    return ", ".join(each) or "–"


def _balance(plan: TrainPlan) -> str:
    """How the training examples are spread over the labels."""
    pairs = zip(plan.label_words, plan.label_counts, strict=True)
    total = plan.train_examples
    return ", ".join(f"{word} {count:,} ({count / total:.0%})" for word, count in pairs) or "–"
