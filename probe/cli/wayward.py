"""`probe wayward`: hold prompts near to texts, and see whether they still solve the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probe.cli.asking_options import TASK_HELP, DataDir, Device
from probe.cli.completion import complete_model, complete_task
from probe.cli.options import Json
from probe.cli.study_options import (
    AtOnce,
    DryRun,
    GpuShare,
    Out,
    Ray,
    StudyDtype,
    TestExamples,
    ValidationExamples,
    command_line,
    numbers,
    where,
)
from probe.cli.study_progress import conduct, print_plan
from probe.cli.wayward_table import print_waywardness

if TYPE_CHECKING:
    from probe.verbs import WaywardAsked


def wayward(
    task: Annotated[
        list[str],
        typer.Option("--task", help=f"{TASK_HELP} Repeatable.", autocompletion=complete_task),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="A frozen model: smollm2, builtin, minilm, a folder, a GGUF file or a hub id. "
            "Repeatable. Default: smollm2 where it is installed, else builtin.",
            autocompletion=complete_model,
        ),
    ] = None,
    targets: Annotated[
        list[str],
        typer.Option(
            "--targets",
            help="Texts to hold prompts near to, repeatable: the sets definitions, instructions, "
            "web, text:WORDS, or a file: .txt with a text per line, .jsonl with text, kind and "
            "task, .toml with a table per task.",
        ),
    ] = ["definitions", "instructions", "web"],  # noqa: B006
    target_count: Annotated[
        int | None,
        typer.Option(
            "--target-count",
            min=1,
            help="At most so many targets of each set or file, from short to long. Default: all.",
        ),
    ] = None,
    gamma: Annotated[
        list[str],
        typer.Option(
            "--gamma",
            help="Weights of the distance to the target, repeatable or with commas; 0, the "
            "baseline, is always among them.",
        ),
    ] = ["0,0.01,0.03,0.1,0.3,1,3,10"],  # noqa: B006
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Runs that differ in nothing but the seed.")
    ] = 2,
    init: Annotated[
        list[str],
        typer.Option(
            "--init",
            help="Where prompts start, repeatable: target (at the target's own embeddings), "
            "vocab, random, labels, text:WORDS.",
        ),
    ] = ["vocab", "target"],  # noqa: B006
    steps: Annotated[int, typer.Option("--steps", min=1, help="Updates of every prompt.")] = 300,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Examples per update.")
    ] = 16,
    lr: Annotated[
        float | None,
        typer.Option("--lr", help="Highest rate. Default: the spread of the embedding table."),
    ] = None,
    objective: Annotated[
        Literal["full", "label_words", "paper"],
        typer.Option(
            "--objective",
            help="Loss over the whole vocabulary, the label words only, or as in the paper.",
        ),
    ] = "full",
    data_dir: DataDir = None,
    validation_examples: ValidationExamples = 200,
    test_examples: TestExamples = 500,
    ray: Ray = None,
    gpu_share: GpuShare = 0.0,
    at_once: AtOnce = 8,
    device: Device = None,
    dtype: StudyDtype = None,
    out: Out = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train prompts that must stay near given texts, and report what that costs them.

    Ctrl-C keeps what is finished; the same command goes on.
    """
    from probe import verbs
    from probe.tables import default_model

    training: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "objective": objective}
    if lr is not None:
        training["learning_rate"] = lr
    config = verbs.wayward_config(
        model or [default_model()],
        task,
        targets,
        target_count=target_count,
        gammas=numbers(gamma, "--gamma"),
        seeds=seeds,
        inits=init,
        training=training,
        data_dir=data_dir,
        validation_examples=validation_examples,
        test_examples=test_examples,
        device=device,
        dtype=dtype,
        command=command_line(),
    )
    asked = verbs.wayward_asked(config)
    if dry_run:
        print_plan(asked, _facts(asked), at_once=at_once, json=json)
        return
    place = where(ray, gpu_share)
    conduct(asked, print_waywardness, where=place, at_once=at_once, out=out, json=json)


def _facts(asked: WaywardAsked) -> dict[str, str]:
    study = asked.study
    targets = {point.target: len(point.ids) for point in asked.points}
    lengths = sorted(targets.values())
    return {
        "models": ", ".join(study.models),
        "tasks": ", ".join(study.tasks),
        "targets": f"{len(targets)} of {lengths[0]} to {lengths[-1]} tokens",
        "γ": ", ".join(f"{gamma:g}" for gamma in study.gammas),
        "starts": ", ".join(study.inits),
        "seeds": f"{study.seeds}",
    }
