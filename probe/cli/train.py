"""`probe train`: a run of its own process, watched from here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli.asking_options import (
    DATA_TASK_HELP,
    DataDir,
    DataTextColumn,
    LabelColumn,
    split_synonyms,
)
from probe.cli.completion import complete_model, complete_run, complete_task
from probe.cli.output import print_json, print_notes
from probe.cli.train_options import with_training_options
from probe.texts import counted

if TYPE_CHECKING:
    from probe.jobs.plan import Plan
    from probe.store import RunFolder, Workspace

Detach = Annotated[
    bool, typer.Option("--detach", help="Leave the run to itself at once; `probe runs` finds it.")
]


@with_training_options
def train(
    context: typer.Context,
    config: dict[str, Any],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="The frozen model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. "
            "Default: smollm2 where it is installed, else builtin.",
            autocompletion=complete_model,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            help=DATA_TASK_HELP,
            autocompletion=complete_task,
        ),
    ] = None,
    data_dir: DataDir = None,
    text_column: DataTextColumn = None,
    label_column: LabelColumn = None,
    label_words: Annotated[
        list[str] | None,
        typer.Option(
            "--label-word",
            help="Repeat it, once per label in label order; 'great|good' gives a label two words. "
            "Default: the task's own; of a data file, its labels.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Of the prompt in the workspace. Default: task and method."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help="As torch names it. Default: a GPU if there is one."),
    ] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        typer.Option(
            "--dtype",
            help="Precision of the frozen model; prompts stay float32. Default: bfloat16 on GPUs "
            "that have it and, for GGUF files, on CPUs that have it; else float32.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds", min=2, help="Train so many prompts at once, as a cross-validation."
        ),
    ] = None,
    test_examples: Annotated[
        int,
        typer.Option(
            "--test-examples",
            min=0,
            help="At most so many test examples, from all over the split, score the finished "
            "prompt; 0 scores none.",
        ),
    ] = 2000,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help="Go on with a run from its last checkpoint, as it was asked for; with --steps to "
            "so many in all, also where it had finished.",
            autocompletion=complete_run,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Make two steps, print plan and time, and keep nothing."),
    ] = False,
    detach: Detach = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines, one per step, and nothing else.")
    ] = False,
) -> None:
    """Train a soft prompt and keep it in the workspace. Ctrl-C saves; --resume goes on."""
    from probe import verbs
    from probe.store import Workspace
    from probe.tables import default_model

    workspace = Workspace()
    if resume is not None:
        _require_alone(context)
        go_on(workspace, resume, steps=config.get("steps"), detach=detach, json=json)
        return
    if task is None:
        raise typer.BadParameter("name a task, or --resume a run.", param_hint="'--task'")
    asked = verbs.run_config(
        model or default_model(),
        task,
        config,
        data_dir=data_dir,
        text_column=text_column,
        label_column=label_column,
        label_words=split_synonyms(label_words),
        name=name,
        device=device,
        dtype=dtype,
        folds=folds,
        test_examples=test_examples,
        command=_command(),
        workspace=workspace,
    )
    if dry_run:
        from probe.jobs import plan

        _print_plan(plan.dry_run(asked), json=json)
        return
    from probe import jobs

    _attend(workspace, jobs.start(workspace, asked), detach=detach, json=json)


def go_on(
    workspace: Workspace, reference: str, *, steps: int | None, detach: bool, json: bool
) -> None:
    """Resume a run and watch it."""
    from probe import jobs

    _attend(workspace, jobs.resume(workspace, reference, steps=steps), detach=detach, json=json)


def _attend(workspace: Workspace, run: RunFolder, *, detach: bool, json: bool) -> None:
    if detach:
        from probe import jobs
        from probe.cli.runs_table import print_runs

        found = jobs.view(workspace, run)
        print_notes(found.notes)
        print_runs([found], json=json)
        return
    from probe.cli.watching import watch

    raise typer.Exit(watch(workspace, run, json=json))


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


def _command() -> list[str]:
    """The command line as typed, with the program's plain name."""
    return ["probe", *sys.argv[1:]]


def _print_plan(plan: Plan, *, json: bool) -> None:
    if json:
        print_json(plan.to_json())
        return
    from probe.cli.runs_table import print_facts
    from probe.cli.watching import duration

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


def _labels(plan: Plan) -> str:
    """Every label's words, with the tokens of the one that names it."""
    pairs = zip(plan.label_words, plan.label_tokens, strict=True)
    each = [f"{word} ({counted(tokens, 'token')})" for word, tokens in pairs]
    return ", ".join(each) or "–"


def _balance(plan: Plan) -> str:
    """How the training examples are spread over the labels."""
    pairs = zip(plan.label_words, plan.label_counts, strict=True)
    total = plan.train_examples
    return ", ".join(f"{word} {count:,} ({count / total:.0%})" for word, count in pairs) or "–"
