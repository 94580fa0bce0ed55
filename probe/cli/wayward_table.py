"""A waywardness study as people read it: the main table, then what some prompts say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.output import cell, console, table, visible

if TYPE_CHECKING:
    from probe.analysis.waywardness import Choice, Estimate, Waywardness
    from probe.verbs import StudyResult

_EXAMPLES = 6
_LONGEST = 105
_MEASURES = {
    "baseline_accuracy": "γ = 0",
    "wayward_accuracy": "wayward",
    "delta": "Δ",
    "f1": "Prompt F1",
    "f1_at_zero": "F1 at γ = 0",
}

_LEGEND = """\
said: targets that some γ brings to F1 > 0.98. wayward: test accuracy at the γ > 0 that is most
accurate on validation data, of those with F1 > 0.98 if there are any. Δ: share of the baseline's
accuracy that is lost. F1 at γ = 0: what is said of the target without being held near to it.
"""


def print_waywardness(result: StudyResult[Waywardness]) -> None:
    """Print the main table, examples, and where the rest is."""
    found, out = result.found, console()
    seeds = min((row.seeds for row in found.table), default=0)
    out.print(
        f"{len(found.runs)} runs · means over targets of {seeds} seed{'s' * (seeds != 1)} each · "
        "95 % intervals over targets and seeds",
        soft_wrap=True,
    )
    out.print(_grid(found))
    out.print(_LEGEND, soft_wrap=True)
    for choice in _examples(found):
        out.print(_example(choice), soft_wrap=True)
    out.print(f"\nresults, prompts and figures: {visible(str(result.folder))}", soft_wrap=True)


def _grid(found: Waywardness) -> object:
    models = len({row.model for row in found.table}) > 1
    kinds = len({row.kind for row in found.table}) > 1
    lead = ["model"] * models + ["task", "start"] + ["targets"] * kinds + ["said"]
    grid = table(*lead, *_MEASURES.values(), right=("said", *_MEASURES.values()))
    for row in found.table:
        cells = [row.model] * models + [row.task, row.init] + [row.kind] * kinds
        cells += [f"{row.saying_target}/{row.targets}"]
        estimates: list[Estimate | None] = [getattr(row, name) for name in _MEASURES]
        grid.add_row(*map(cell, cells), *(cell(_value(one)) for one in estimates))
        if any(one and one.interval for one in estimates):  # below, or the table gets too wide
            blank = [""] * len(cells)
            grid.add_row(*blank, *(cell(_interval(one), "dim") for one in estimates))
    return grid


def _value(one: Estimate | None) -> str:
    return "–" if one is None else f"{one.value:.3f}"


def _interval(one: Estimate | None) -> str:
    return "[{:.2f}, {:.2f}]".format(*one.interval) if one and one.interval else ""


def _examples(found: Waywardness) -> list[Choice]:
    """Choices of different tasks and starts first."""
    groups: dict[tuple[str, str, str], list[Choice]] = {}
    for choice in found.choices:
        groups.setdefault((choice.model, choice.task, choice.init), []).append(choice)
    rounds = max(map(len, groups.values()), default=0)
    turns = (own[turn] for turn in range(rounds) for own in groups.values() if turn < len(own))
    return list(turns)[:_EXAMPLES]


def _example(choice: Choice) -> str:
    lines = (
        f"{choice.task}, from {choice.init}, γ = {choice.gamma:g}, F1 {choice.f1:.2f}, accuracy "
        f"{choice.wayward_accuracy:.3f} for {choice.baseline_accuracy:.3f}",
        f"  target   {_cut(choice.target)}",
        f"  decoded  {_cut(choice.decoded)}",
    )
    return "\n".join(map(visible, lines))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
