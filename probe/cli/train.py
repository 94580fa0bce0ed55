"""`probe train`: a run of its own process, watched from here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from probe.cli.options import Watched
from probe.cli.output import command_line, print_facts, print_json
from probe.cli.requests import takes_requests
from probe.requests import Option, TrainRequest
from probe.texts import counted

if TYPE_CHECKING:
    from probe.jobs.plan import TrainPlan


@dataclass(frozen=True)
class Start(Watched):
    """How a run is started and shown."""

    resume: Annotated[str | None, Option(metavar="RUN", complete="run")] = None
    """Go on with a run from its last checkpoint, as it was asked for; with --steps to so many in
    all, also where it had finished."""
    dry_run: bool = False
    """Make two steps, print plan and time, and keep nothing."""


@takes_requests
def train(context: typer.Context, asked: TrainRequest, start: Start) -> None:
    """Train a soft prompt and keep it in the workspace. Ctrl-C saves; --resume goes on."""
    from probe import jobs, verbs
    from probe.cli.watching import attend
    from probe.store import Workspace

    workspace = Workspace()
    if start.resume is not None:
        _require_alone(context)
        steps = asked.training.get("steps")
        attend(workspace, jobs.resume(workspace, start.resume, steps=steps), start)
    if asked.task is None:
        raise typer.BadParameter("name a task, or --resume a run.", param_hint="'--task'")
    config = replace(verbs.run_config(asked), command=command_line())
    if start.dry_run:
        from probe.jobs import plan

        _print_plan(plan.dry_run(config), json=start.json)
        return
    attend(workspace, jobs.start(workspace, config), start)


def _require_alone(context: typer.Context) -> None:
    """A run is resumed as it was asked for, so nothing but more steps can be asked now."""
    with_resume = ("resume", "steps", "json", "detach")
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if source is not None and source.name == "COMMANDLINE" and option.name not in with_resume:
            raise typer.BadParameter(
                "a run goes on unchanged but for more --steps: leave this out with --resume.",
                param_hint=f"'{option.opts[0]}'",
            )


def _print_plan(plan: TrainPlan, *, json: bool) -> None:
    if json:
        print_json(plan.to_json())
        return
    from probe.jobs.eta import duration

    examples = f"{plan.train_examples:,} to train, {plan.validation_examples:,} to validate"
    batch = counted(plan.batch_size, "example")
    each = f"{counted(plan.trained_parameters, 'trained number')}"
    rows = {
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
    print_facts(rows)


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
