"""Inside a model with a prompt, printed: `probe ablate`, `knock-out`, `prune` and `lens`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli.output import cell, headline, say, table

if TYPE_CHECKING:
    from rich.table import Table

    from probe.analysis.lens import LayerControl, LensCell
    from probe.analysis.patching import Descriptions
    from probe.analysis.pruning import PromptScore
    from probe.analysis.value_lens import ValueCell
    from probe.bootstrap import Estimate
    from probe.training import Step
    from probe.verbs.ablating import Ablated
    from probe.verbs.knocking_out import KnockedOut
    from probe.verbs.layers import LensReading
    from probe.verbs.pruning import Pruned

_LAYERS_SHOWN = 6
"""Layers that fit beside each other on a terminal."""


def print_ablation(result: Ablated) -> None:
    """What each position's change does to the loss, and how much text looks at it."""
    from probe.analysis.ablation import KINDS

    found = result.ablation
    kinds = [kind for kind in KINDS if getattr(found.positions[0], kind) is not None]
    names = {"removed": "removed", "mean": "mean row", "swapped": "swapped with"}
    every = ("position", *(names[kind] for kind in kinds), "attention")
    grid = table(*every, right=every, spare=("swapped with", "attention"))
    even = result.attention.uniform.mean(axis=0)
    for one, mass, share in zip(found.positions, result.attention.by_position, even, strict=True):
        cells = [_change(getattr(one, kind)) for kind in kinds]
        if "swapped" in kinds:
            cells[-1] = f"{one.partner}: {cells[-1]}"
        grid.add_row(str(one.position), *map(cell, cells), f"{mass:.3f} ({mass / share:.1f}×)")
    say(
        f"{found.prompt} on {result.model} · {result.task} · {found.n} {result.split} examples",
        headline(result),
        grid,
        "Change of the loss in nats, 95 % intervals over examples; * leaves out 0.",
        "Attention: what text positions give this one, mean over layers, and times its even share; "
        "looking is not using.",
    )
    if result.attributions:
        _print_attributions(result)


def _print_attributions(result: Ablated) -> None:
    """Parts of the rows by gradients, and how far every two rankings agree."""
    names = [one.method.replace("_", " ") for one in result.attributions]
    grid = table("position", *names, right=("position", *names))
    every = zip(*(one.positions for one in result.attributions), strict=True)
    for number, parts in enumerate(every):
        grid.add_row(str(number), *map(cell, map(_change, parts)))
    say(grid)
    for name, one in zip(names, result.attributions, strict=True):
        say(
            f"{name}: parts in the rise of {one.baseline_change_nats:+.3f} nats when all rows "
            f"become the baseline ({one.baseline}), which they miss by {one.gap_nats:+.4f}."
        )
    for pair in result.agreements:
        say(
            f"{pair.first} and {pair.second}: Spearman {pair.spearman:+.2f}, Kendall "
            f"{pair.kendall:+.2f}"
        )


def _change(change: Estimate) -> str:
    return f"{change:+.3f}{'*' if change.clear else ' '}"


def print_knocked_out(result: KnockedOut) -> None:
    """What is lost where each layer, all up to it, or all from it on do not see the prompt."""
    found = result.knock_out
    on = f"{result.task} · {found.n} {result.split} examples"
    on = on if result.task is not None else f"{found.n} contexts"
    window = "this layer" if found.window == 1 else f"{found.window} layers around it"
    columns = ("layer", window, "up to it", "from it on")
    grid = table(*columns, right=columns, spare=("from it on",))
    for one in found.layers:
        cells = map(cell, (_change(cut.loss_nats) for cut in (one.window, one.up_to, one.onward)))
        grid.add_row(str(one.layer), *cells)
    what = "loss" if found.measured == "loss" else "divergence from the whole prompt"
    say(
        f"{found.prompt} on {result.model} · {on}",
        headline(result),
        grid,
        f"Change of the {what} in nats where texts do not see the prompt in these layers; * the "
        "95 % interval leaves out 0.",
    )


def step_of_pruning(step: Step) -> str:
    """One update of a retraining in words."""
    score = f", {step.validation.value:.3f} on validation" if step.validation else ""
    return f"pruning {step.prompt + 1}, step {step.step}: {step.loss_nats:.3f} nats{score}"


def print_pruned(result: Pruned) -> None:
    """What every number of rows scores, pruned and retrained."""
    metric = result.metric.replace("_", " ")
    columns = ("rows", f"{metric} pruned", "rewound and retrained", "positions")
    grid = table(*columns, right=columns[:3], spare=("positions",))
    grid.add_row(str(len(result.importance_nats)), _scored(result.unpruned), "", "all")
    for one in result.kept:
        cells = (_scored(one.pruned), _scored(one.retrained), " ".join(map(str, one.rows)))
        grid.add_row(str(len(one.rows)), *map(cell, cells))
    what = {"removed": "rise of the loss without it", "gradient_input": "size of gradient × input"}
    say(
        f"{result.prompt} on {result.model} · {result.task} · {result.validation_examples} "
        "validation examples",
        headline(result),
        grid,
        f"Rows by the {what[result.by]} on {result.ranking_examples} training examples; in "
        "brackets the change from the unpruned prompt, 95 % intervals over examples; * leaves out "
        f"0. Retrained from: {result.rewound}.",
    )


def _scored(found: PromptScore) -> str:
    change = "" if found.score_change is None else f" ({_change(found.score_change).strip()})"
    return f"{found.score.value:.3f}{change}"


def print_lens(result: LensReading) -> None:
    """The first token of every position at some layers, and what random rows read like."""
    read, logit = result.lens, result.kind == "logit"
    told = "" if logit else ", as the head reads it that is surest"
    say(
        f"{read.prompt} on {result.model} · {result.kind} lens",
        _positions(read.cells),
        _controls(read.layers),
        f"The first token of each position at each layer{told}. Beside it: {read.draws} random "
        f"{'prompts' if logit else 'prefixes'} of the same norms.",
        "Overlap: tokens shared with a random row in the same place; near 1, the layer tells of "
        "the model, not of the prompt.",
        headline(read),
    )
    if result.descriptions is not None:
        _print_descriptions(result.descriptions)


def _positions(read: tuple[LensCell, ...] | tuple[ValueCell, ...]) -> Table:
    """The first token of every position at some layers: first, last and between."""
    first: dict[tuple[int, int], LensCell | ValueCell] = {}
    for one in read:
        place = (one.layer, one.position)
        if place not in first or one.tokens[0].probability > first[place].tokens[0].probability:
            first[place] = one  # of several heads, the one that is surest
    layers = _some(sorted({layer for layer, _ in first}))
    names = [f"layer {layer}" for layer in layers]
    between = (*names[1:-1:2], *names[2:-1:2])
    grid = table("position", *names, right=("position",), whole=tuple(names), spare=between)
    for position in sorted({position for _, position in first}):
        cells = [first[layer, position].tokens[0] for layer in layers]
        grid.add_row(str(position), *(cell(f"{one.token} {one.probability:.2f}") for one in cells))
    return grid


def _some(layers: list[int]) -> list[int]:
    if len(layers) <= _LAYERS_SHOWN + 1:
        return layers
    step = (len(layers) - 1) / (_LAYERS_SHOWN - 1)
    return [layers[round(i * step)] for i in range(_LAYERS_SHOWN)]


def _controls(layers: tuple[LayerControl, ...]) -> Table:
    columns = ("mean probability of the first token", "of random rows", "overlap")
    grid = table("layer", *columns, right=("layer", *columns))
    for one in layers:
        shares = (one.top_probability, one.random_top_probability, one.overlap)
        grid.add_row(str(one.layer), *(f"{share:.3f}" for share in shares))
    return grid


def _print_descriptions(found: Descriptions) -> None:
    right = ("class rate", "of random rows")
    grid = table("layer", "described as", *right, right=right)
    for one in found.layers:
        shown = (f"{one.class_rate:.2f}", f"{one.random_class_rate:.2f}")
        grid.add_row(str(one.layer), cell(one.text.strip()), *shown)
    say("", grid, headline(found))
