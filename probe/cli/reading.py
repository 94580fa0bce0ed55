"""What a prompt says, printed: `probe read`, `distill` and `cram`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from probe.cli.lines import answer_lines
from probe.cli.options import Json, usage_errors
from probe.cli.output import cell, headline, say, show, table
from probe.cli.requests import takes_requests
from probe.requests import Option, ReadRequest, RequestError
from probe.requests.sources import PromptSource
from probe.texts import counted

if TYPE_CHECKING:
    from rich.table import Table

    from probe.readings import Reading
    from probe.readings.plug_in import TextScore
    from probe.readings.reading import Answer
    from probe.training import Step
    from probe.training.cramming import Look
    from probe.verbs.cramming import Crammed
    from probe.verbs.distilling import Distilled
    from probe.verbs.reading import ReadPrompt

_WORDS = 10


@dataclass(frozen=True, kw_only=True)
class _ReadLines(ReadRequest):
    prompt: Annotated[PromptSource, Option(positional=True, complete="prompt")] = ""
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
    from probe.verbs import reading

    if asked.serve:
        answer_lines(lambda line: reading.read(replace(asked, serve=False, prompt=line.strip())))
        return
    with usage_errors():
        found = reading.read(asked)
    show(found, print_reading, json=json)


def print_reading(found: ReadPrompt) -> None:
    """The answer, then reading by reading what it rests on."""
    say(found.answer, f"{found.prompt} · {found.model}")
    for one in found.readings:
        _print_one(one)
    if found.scored_texts:
        _print_scores(found.scored_texts)


def _print_one(reading: Reading) -> None:
    if reading.refused:
        say("", f"{reading.name}: {reading.refused}")
        return
    words = reading.text if reading.prose else ", ".join(reading.text.split(", ")[:_WORDS])
    if reading.answers is None:
        say("", f"{reading.name}: {words}", "  " + "; ".join(_worth(reading)))
    else:
        say("", _answers(reading.answers))
    if reading.suppressed is not None:
        least = ", ".join(one.token for one in reading.suppressed[:_WORDS])
        say(f"  suppressed most: {least}")
    if reading.hit_rate is not None:
        say(f"  {reading.hit_rate.sentence}")


def _answers(answers: tuple[Answer, ...]) -> Table:
    grid = table("ask", "with the prompt", "without it")
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


def _print_scores(scores: tuple[TextScore, ...]) -> None:
    grid = table("text in the prompt's place", "share of its effect", "95 % interval")
    for one in scores:
        share = one.explained
        low, high = share.interval
        grid.add_row(*map(cell, (one.text, f"{share.share:.2f}", f"{low:.2f} to {high:.2f}")))
    first = scores[0].explained
    say(
        "",
        grid,
        "1 - KL(prompt ‖ text) / KL(prompt ‖ nothing) over the model's answers to "
        f"{counted(first.contexts, 'question')}; the prompt's own effect is {first.kl0_nats:.3f} "
        "nats per token.",
    )


def step_of_distillation(step: Step) -> str:
    """One update in words."""
    return f"step {step.step}: {step.loss_nats:.3f} nats"


def print_distilled(found: Distilled) -> None:
    """How the prompt reads, and how much of the text's effect it has."""
    print_reading(found.reading)
    say("", *found.headline())


def look_at_text(look: Look) -> str:
    """How far one text is, in words."""
    return (
        f"text {look.text + 1}, step {look.step}: {look.longest} of {look.tried} tokens held, "
        f"{look.loss_nats:.3f} nats"
    )


def print_crammed(found: Crammed) -> None:
    """How much of each text is held, and what that says more than the model alone."""
    right = ("tokens", "held", "greedy", "gained", "nats gained", "update")
    grid = table("beginning that is held", *right, right=right, spare=("update",))
    for one in found.texts:
        grid.add_row(
            cell(one.beginning[:60]),
            *map(str, (one.tokens, one.longest, one.greedy, one.tokens_gained)),
            f"{one.information_gain_nats:.1f}",
            str(one.updates),
        )
    say(
        headline(found),
        grid,
        "Held: the longest beginning whose tokens are the likeliest ones behind the true ones. "
        "Greedy: what the model writes of itself before it errs. Gained: right tokens, and nats, "
        "more than without the rows.",
    )
