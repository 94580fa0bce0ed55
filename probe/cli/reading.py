"""`probe read`, `distill` and `cram`: what a prompt says, of itself and of a text put into it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from probe.cli.lines import answer_lines
from probe.cli.options import Figures, Json, usage_errors
from probe.cli.output import (
    cell,
    console,
    new_place,
    print_headline,
    print_json,
    show,
    table,
    visible,
    write_figures,
)
from probe.cli.requests import takes_requests
from probe.requests import CramRequest, DistillRequest, Option, ReadRequest, RequestError
from probe.requests.sources import PromptSource
from probe.texts import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from probe.readings import Reading
    from probe.readings.plug_in import TextScore
    from probe.readings.reading import Answer
    from probe.verbs import ReadPrompt


_WORDS = 10


@dataclass(frozen=True, kw_only=True)
class _ReadLines(ReadRequest):
    prompt: Annotated[
        PromptSource, Option(positional=True, metavar="PROMPT", complete="prompt")
    ] = ""
    """A file or folder (PATH#NAME picks one prompt of several), a workspace prompt (NAME or
    NAME@VERSION), a sample prompt, or a hub id. None with --serve."""
    serve: bool = False
    """Read the prompt that each line of standard input names, and answer with a line of JSON, until
    the input ends; the model stays in memory."""

    def check(self) -> None:
        """Check that a prompt is named, here or by lines.

        Raises:
            RequestError: it is named in neither way, or in both.
        """
        if self.serve == bool(self.prompt):
            raise RequestError("name a prompt, or give --serve and name them by lines", "prompt")


@takes_requests
def read(asked: _ReadLines, json: Json = False) -> None:
    """Say what a prompt means, by readings whose hit rate is known."""
    from probe import verbs

    if asked.serve:
        answer_lines(lambda line: verbs.read(replace(asked, serve=False, prompt=line)))
        return
    with usage_errors():
        found = verbs.read(asked)
    show(found, print_reading, json=json)


def print_reading(found: ReadPrompt) -> None:
    """The answer, then reading by reading what it rests on."""
    out = console()
    out.print(visible(found.answer), soft_wrap=True)
    out.print(visible(f"{found.prompt} · {found.model}"), soft_wrap=True)
    for one in found.readings:
        _print_one(out, one)
    if found.scored_texts:
        _print_scores(out, found.scored_texts)


def _print_one(out: Console, reading: Reading) -> None:
    out.print("")
    if reading.refused:
        out.print(visible(f"{reading.name}: {reading.refused}"), soft_wrap=True)
        return
    words = reading.text if reading.prose else ", ".join(reading.text.split(", ")[:_WORDS])
    if reading.answers is None:
        out.print(visible(f"{reading.name}: {words}"), soft_wrap=True)
        out.print(visible("  " + "; ".join(_worth(reading))), soft_wrap=True)
    else:
        out.print(_answers(reading.answers))
    if reading.suppressed is not None:
        least = ", ".join(one.token for one in reading.suppressed[:_WORDS])
        out.print(visible(f"  suppressed most: {least}"), soft_wrap=True)
    if reading.hit_rate is not None:
        out.print(f"  {reading.hit_rate.sentence}", soft_wrap=True)


def _answers(answers: tuple[Answer, ...]) -> Table:
    grid: Table = table("ask", "with the prompt", "without it")
    for one in answers:
        grid.add_row(*map(cell, (one.question, one.answer, one.without)))
    return grid


def _worth(reading: Reading) -> list[str]:
    said = []
    if reading.tokens:
        best = f"best score {max(one.score for one in reading.tokens):.3f}"
        if reading.control_95 is not None:
            best += f" (95 % of controls: below {reading.control_95:.3f})"
        said.append(best)
    if reading.agreement is not None:
        said.append(f"mean cosine {reading.agreement:.2f} with what the rows learned")
    if reading.shares is not None:
        said.append(f"{len(reading.shares)} tokens explain {reading.shares[-1]:.0%} of each row")
    if reading.start is not None:
        said.append(f"start {reading.start}")
    if reading.p is None:
        said.append("no control to judge it by")
    else:
        better = "better than" if reading.better_than_controls else "no better than"
        said.append(f"{better} its control ({reading.control}), p = {reading.p:.3f}")
    return said


def _print_scores(out: Console, scores: tuple[TextScore, ...]) -> None:
    out.print("")
    grid = table("text in the prompt's place", "share of its effect", "95 % interval")
    for one in scores:
        share = one.explained
        low, high = share.interval
        grid.add_row(*map(cell, (one.text, f"{share.share:.2f}", f"{low:.2f} to {high:.2f}")))
    out.print(grid)
    first = scores[0].explained
    out.print(
        "1 - KL(prompt ‖ text) / KL(prompt ‖ nothing) over the model's answers to "
        f"{counted(first.contexts, 'question')}; the prompt's own effect is {first.kl0_nats:.3f} "
        "nats per token.",
        soft_wrap=True,
    )


_EVERY = 5
"""Steps between the lines of a run that is not watched on a terminal."""

if TYPE_CHECKING:
    from probe.training import Step
    from probe.training.cramming import Look
    from probe.verbs import Crammed, Distilled


@takes_requests
def distill(asked: DistillRequest, json: Json = False) -> None:
    """Train a prompt to do what a text does, keep it in the workspace, and read it."""
    from probe import verbs

    found = verbs.distill(replace(asked, on_step=_watch if sys.stderr.isatty() else _tell))
    show(found, _print_distilled, json=json)


def _watch(step: Step) -> None:
    """One line that is written over, and ends with the last step."""
    end = "\n" if step.stopped else ""
    sys.stderr.write(f"\rstep {step.step}: {step.loss_nats:.3f} nats {end}")
    sys.stderr.flush()


def _tell(step: Step) -> None:
    """A line now and then, for pipes and logs."""
    if step.stopped or step.step == 1 or step.step % _EVERY == 0:
        sys.stderr.write(f"step {step.step}: {step.loss_nats:.3f} nats\n")
        sys.stderr.flush()


def _print_distilled(found: Distilled) -> None:

    print_reading(found.reading)
    out = console()
    out.print("")
    for line in found.headline():
        out.print(visible(line), soft_wrap=True)


_UPDATES_UNTOLD = 50
"""Updates between two lines about a text."""


@takes_requests
def cram(asked: CramRequest, beside: Figures, json: Json = False) -> None:
    """Train rows with which a frozen model writes a text exactly, as much of it as they hold."""
    from probe import verbs

    html = new_place(beside.html)
    found = verbs.cram(replace(asked, on_look=_tell_of))
    write_figures(f"Text in {found.rows} rows of {found.model}", found, html)
    if json:
        print_json(found.to_json())
    else:
        _print_crammed(found)


def _tell_of(look: Look) -> None:
    if look.stopped or look.step % _UPDATES_UNTOLD == 0:
        sys.stderr.write(
            f"text {look.text + 1}, step {look.step}: {look.longest} of {look.tried} tokens held, "
            f"{look.loss_nats:.3f} nats\n"
        )
        sys.stderr.flush()


def _print_crammed(found: Crammed) -> None:
    print_headline(found)
    right = ("tokens", "held", "greedy", "gained", "nats gained", "update")
    grid = table("beginning that is held", *right, right=right, spare=("update",))
    for one in found.texts:
        grid.add_row(
            cell(one.beginning[:60]),
            *map(str, (one.tokens, one.longest, one.greedy, one.tokens_gained)),
            f"{one.information_gain_nats:.1f}",
            str(one.updates),
        )
    console().print(grid)
    console().print(
        "Held: the longest beginning whose tokens are the likeliest ones behind the true ones. "
        "Greedy: what the model writes of itself before it errs. Gained: right tokens, and nats, "
        "more than without the rows.",
        soft_wrap=True,
    )
