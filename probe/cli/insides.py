"""`probe ablate`, `knock-out` and `prune`: which rows of a prompt matter, and where they act."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from probe.cli.options import Figures, Json
from probe.cli.output import (
    cell,
    console,
    new_place,
    print_headline,
    show,
    table,
    visible,
    write_figures,
)
from probe.cli.requests import takes_requests
from probe.requests import AblateRequest, KnockOutRequest, PruneRequest

if TYPE_CHECKING:
    from probe.analysis.pruning import PromptScore
    from probe.bootstrap import Estimate
    from probe.training import Step
    from probe.verbs import Ablated, KnockedOut, Pruned

_EVERY = 50
"""Updates between two lines about a retraining."""


@takes_requests
def ablate(asked: AblateRequest, beside: Figures, json: Json = False) -> None:
    """Change each position in turn and measure how the loss changes, beside attention."""
    from probe import verbs

    html = new_place(beside.html)
    result = verbs.ablate(asked)
    write_figures(f"Ablation of {result.ablation.prompt}", result, html)
    show(result, _print_ablation, json=json)


def _print_ablation(result: Ablated) -> None:
    from probe.analysis.ablation import KINDS

    found, out = result.ablation, console()
    out.print(
        visible(
            f"{found.prompt} on {result.model} · {result.task} · {found.n} {result.split} examples"
        ),
        soft_wrap=True,
    )
    print_headline(result)
    kinds = [kind for kind in KINDS if getattr(found.positions[0], kind) is not None]
    names = {"removed": "removed", "mean": "mean row", "swapped": "swapped with"}
    columns = [names[kind] for kind in kinds]
    every = ("position", *columns, "attention")
    grid = table(*every, right=every, spare=("swapped with", "attention"))
    even = result.attention.uniform.mean(axis=0)
    for one, mass, share in zip(found.positions, result.attention.by_position, even, strict=True):
        cells = [_change(getattr(one, kind)) for kind in kinds]
        if "swapped" in kinds:
            cells[-1] = f"{one.partner}: {cells[-1]}"
        grid.add_row(str(one.position), *map(cell, cells), f"{mass:.3f} ({mass / share:.1f}×)")
    out.print(grid)
    out.print(
        "Change of the loss in nats, 95 % intervals over examples; * leaves out 0.", soft_wrap=True
    )
    out.print(
        "Attention: what text positions give this one, mean over layers, and times its even share; "
        "looking is not using.",
        soft_wrap=True,
    )
    if result.attributions:
        _print_attributions(result)


def _print_attributions(result: Ablated) -> None:
    """Parts of the rows by gradients, and how far every two rankings agree."""
    out, names = console(), [one.method.replace("_", " ") for one in result.attributions]
    grid = table("position", *names, right=("position", *names))
    for number, parts in enumerate(
        zip(*(one.positions for one in result.attributions), strict=True)
    ):
        grid.add_row(str(number), *map(cell, map(_change, parts)))
    out.print(grid)
    for name, one in zip(names, result.attributions, strict=True):
        out.print(
            f"{name}: parts in the rise of {one.baseline_change_nats:+.3f} nats when all rows "
            f"become the baseline ({one.baseline}), which they miss by {one.gap_nats:+.4f}.",
            soft_wrap=True,
        )
    for pair in result.agreements:
        ends = "[{:+.2f}, {:+.2f}]"
        out.print(
            f"{pair.first} and {pair.second}: Spearman {pair.spearman.value:+.2f} "
            f"{ends.format(*pair.spearman.ends)}, Kendall {pair.kendall.value:+.2f} "
            f"{ends.format(*pair.kendall.ends)}",
            soft_wrap=True,
        )


def _change(change: Estimate) -> str:
    low, high = change.ends
    return f"{change.value:+.3f} [{low:+.3f}, {high:+.3f}]{'*' if change.clear else ' '}"


@takes_requests
def knock_out(asked: KnockOutRequest, beside: Figures, json: Json = False) -> None:
    """Cut layers off from the prompt in turn and measure how the loss changes."""
    from probe import verbs

    html = new_place(beside.html)
    result = verbs.knock_out(asked)
    write_figures(f"Knock-out of {result.knock_out.prompt}", result, html)
    show(result, _print_knocked_out, json=json)


def _print_knocked_out(result: KnockedOut) -> None:
    found, out = result.knock_out, console()
    on = f"{result.task} · {found.n} {result.split} examples"
    on = on if result.task is not None else f"{found.n} contexts"
    out.print(visible(f"{found.prompt} on {result.model} · {on}"), soft_wrap=True)
    print_headline(result)
    window = "this layer" if found.window == 1 else f"{found.window} layers around it"
    grid = table(
        "layer", window, "up to it", "from it on",
        right=("layer", window, "up to it", "from it on"), spare=("from it on",),
    )  # fmt: skip
    for one in found.layers:
        cells = map(cell, (_change(cut.loss_nats) for cut in (one.window, one.up_to, one.onward)))
        grid.add_row(str(one.layer), *cells)
    out.print(grid)
    what = "loss" if found.measured == "loss" else "divergence from the whole prompt"
    out.print(
        f"Change of the {what} in nats where texts do not see the prompt in these layers; * the "
        "95 % interval leaves out 0.",
        soft_wrap=True,
    )


@takes_requests
def prune(asked: PruneRequest, beside: Figures, json: Json = False) -> None:
    """Prune the rows that hurt or do little, rewind the others to their start, and retrain them."""
    from probe import verbs

    html = new_place(beside.html)
    result = verbs.prune(replace(asked, on_step=_tell))
    write_figures(f"Pruning of {result.prompt}", result, html)
    show(result, _print_pruned, json=json)


def _tell(step: Step) -> None:
    if step.stopped or step.step % _EVERY == 0:
        score = f", {step.validation.value:.3f} on validation" if step.validation else ""
        sys.stderr.write(
            f"pruning {step.prompt + 1}, step {step.step}: {step.loss_nats:.3f} nats{score}\n"
        )
        sys.stderr.flush()


def _print_pruned(result: Pruned) -> None:
    out, metric = console(), result.metric.replace("_", " ")
    told = f"{result.validation_examples} validation examples"
    out.print(
        visible(f"{result.prompt} on {result.model} · {result.task} · {told}"), soft_wrap=True
    )
    print_headline(result)
    columns = ("rows", f"{metric} pruned", "rewound and retrained", "positions")
    grid = table(*columns, right=columns[:3], spare=("positions",))
    grid.add_row(str(len(result.importance_nats)), _scored(result.unpruned), "", "all")
    for one in result.kept:
        cells = (_scored(one.pruned), _scored(one.retrained), " ".join(map(str, one.rows)))
        grid.add_row(str(len(one.rows)), *map(cell, cells))
    out.print(grid)
    what = {"removed": "rise of the loss without it", "gradient_input": "size of gradient × input"}
    out.print(
        f"Rows by the {what[result.by]} on {result.ranking_examples} training examples; in "
        "brackets the change from the unpruned prompt, 95 % intervals over examples; * leaves out "
        f"0. Retrained from: {result.rewound}.",
        soft_wrap=True,
    )


def _scored(found: PromptScore) -> str:
    change = "" if found.score_change is None else f" ({_change(found.score_change).strip()})"
    return f"{found.score.value:.3f}{change}"
