"""`probe distill`: a text of one's own in a prompt, and what the prompt reads like."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from probe.cli.completion import complete_model
from probe.cli.options import Json
from probe.cli.output import console, print_json, visible
from probe.texts import counted

if TYPE_CHECKING:
    from probe.training import Step
    from probe.verbs import Distilled


def distill(
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="What the prompt is to do, as a text would say it."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="A causal language model: smollm2, builtin, a folder, a GGUF file or a hub id. "
            "Default: smollm2 where it is installed, else builtin.",
            autocompletion=complete_model,
        ),
    ] = None,
    length: Annotated[int, typer.Option("--length", min=1, help="Prompt rows.")] = 8,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Updates of 8 contexts.")] = 60,
    contexts: Annotated[
        Path | None,
        typer.Option(
            "--contexts",
            help="A text file with a question or document per line; the last quarter is held out. "
            "Default: 32 questions that come with probe.",
        ),
    ] = None,
    frame: Annotated[
        str | None,
        typer.Option(
            "--frame",
            help="Where the prompt stands: chat, plain, or a template with {prompt} and {text}. "
            "Default: chat where the model has a chat template.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Of the prompt in the workspace. Default: from the text."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of answers, start, order and intervals.")
    ] = 0,
    device: Annotated[
        str | None,
        typer.Option("--device", help="As torch names it. Default: a GPU if there is one."),
    ] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        typer.Option(
            "--dtype",
            help="Precision of the frozen model; prompts stay float32. Default: bfloat16 on GPUs "
            "and CPUs that have it, else float32.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Train a prompt to do what a text does, keep it in the workspace, and read it."""
    from probe import verbs

    found = verbs.distill(
        text,
        model=model,
        length=length,
        steps=steps,
        contexts=contexts,
        frame=frame,
        name=name,
        seed=seed,
        device=device,
        dtype=dtype,
        on_step=_watch if sys.stderr.isatty() else None,
    )
    if json:
        print_json(found.to_json())
    else:
        _print(found)


def _watch(step: Step) -> None:
    """One line that is written over, and ends with the last step."""
    end = "\n" if step.stopped else ""
    sys.stderr.write(f"\rstep {step.step}: {step.loss_nats:.3f} nats {end}")
    sys.stderr.flush()


def _print(found: Distilled) -> None:
    from probe.cli.read import print_reading

    print_reading(found.reading)
    out, own, cut = console(), found.explained, found.truncated
    out.print("")
    out.print(
        f"{own.share:.2f} of the text's effect is in {counted(found.length, 'row')} "
        f"({own.interval[0]:.2f} to {own.interval[1]:.2f}; {own.kl_nats:.3f} of {own.kl0_nats:.3f} "
        f"nats per token are left on {own.contexts} held-out contexts).",
        soft_wrap=True,
    )
    out.print(
        visible(
            f"The text's first {counted(found.length, 'token')} ({found.truncated_text!r}) have "
            f"{cut.share:.2f} ({cut.interval[0]:.2f} to {cut.interval[1]:.2f})."
        ),
        soft_wrap=True,
    )
    out.print(visible(f"Kept as {found.prompt}; {found.seconds:.0f} s."), soft_wrap=True)
