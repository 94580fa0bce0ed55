"""What results say in plain sentences, the answer first: one wording for page, terminal and file.

Nothing here draws, so that a terminal waits for no charts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from probe.analysis.controls import NOT_BETTER_THAN_CHANCE, OFF_THE_MANIFOLD
from probe.analysis.layouts import METHOD_NAMES
from probe.analysis.neighbours import METRIC_NAMES
from probe.reports.evaluations import evaluation_headline
from probe.reports.reading_rates import reading_rates_headline
from probe.reports.studies import sweep_headline, wayward_headline
from probe.texts import counted

if TYPE_CHECKING:
    from probe.analysis.ablation import Ablation
    from probe.analysis.clusters import Clusters
    from probe.analysis.compare import Comparison
    from probe.analysis.decoding import Decoding
    from probe.analysis.knock_out import Cut, LayerKnockOut
    from probe.analysis.lens import Lens
    from probe.analysis.maps import Map
    from probe.analysis.mixing import Mixing
    from probe.analysis.patching import Descriptions
    from probe.analysis.starts import Drift
    from probe.analysis.transfer import Transfer
    from probe.analysis.value_lens import ValueLens


def decoding_headline(found: Decoding) -> list[str]:
    """What the decoding is worth."""
    notes = [f"Note: {note}." for note in found.notes]
    if found.reference is None:
        return ["Without controls, nobody can say whether these tokens mean anything.", *notes]
    total = len(found.positions)
    refer = found.reference
    told = (
        ("positions", refer.prompt),
        ("Gaussian control", refer.chance),
        ("held-out tokens", refer.vocabulary),
    )
    medians = ", ".join(f"{name} {median(map(float, scores)):.3g}" for name, scores in told)
    lines = [
        _chance_line(found.count(NOT_BETTER_THAN_CHANCE), total),
        f"Median {METRIC_NAMES[found.metric]} to the nearest token: {medians}.",
    ]
    if off := found.count(OFF_THE_MANIFOLD):
        lie = "lies" if off == 1 else "lie"
        lines.append(
            f"{off} of {total} {lie} farther from every token than 99 % of held-out tokens are."
        )
    if found.start_sentence:
        lines.append(found.start_sentence)
    return [*lines, *notes]


def _chance_line(noise: int, total: int) -> str:
    if total == 1:
        verb = "is no closer" if noise else "is closer"
        return f"The only position {verb} to a token than the Gaussian control is."
    if noise == total:
        return f"None of the {total} positions is closer to a token than the Gaussian control is."
    if noise == 0:
        return f"All {total} positions are closer to a token than the Gaussian control is."
    verb = "is" if noise == 1 else "are"
    return f"{noise} of {total} positions {verb} no closer to a token than the Gaussian control is."


def comparison_headline(found: Comparison, *, strong: str = "", of: int | None = None) -> list[str]:
    """The nearest pair, and what it is worth.

    Args:
        found: of two prompts or more.
        strong: stands around the shares, as `**` in Markdown.
        of: the prompt whose nearest is meant, where the others only stand beside it.
    """
    from probe.analysis.compare import MEASURES, pair_words, separation_sentence

    rank, (i, j, value) = next(
        (rank, pair) for rank, pair in enumerate(found.nearest, 1) if of in (None, *pair[:2])
    )
    named = f"{found.prompts[i]} and {found.prompts[j]}"
    told = pair_words(found, i, j)
    closer = "higher" if found.higher_is_closer else "lower"
    how = ", of changes since the start" * found.change + ", centred" * found.centre
    measured = _sentence(f"{MEASURES[found.measure].meaning}{how}; {closer} is closer")
    values = [found.matrix[a, b] for a in range(len(found.prompts)) for b in range(a)]
    if len(values) == 1:
        return [f"{named}: {value:.3g}.", measured, _sentence(told)]
    pairs = counted(len(values), "pair")
    first, which = f"{named} are the closest of {pairs}", "Of the closest"
    if of is not None:
        first = f"{found.prompts[of]} is closest to {found.prompts[i if j == of else j]}"
        which = f"Rank {rank} of {pairs}; of the two"
    lines = [
        f"{first}: {value:.3g}.",
        measured,
        f"The median pair has {median(values):.3g}.",
        f"{which}, {told}.",
        separation_sentence(found, strong=strong),
    ]
    return [line for line in lines if line]


def pair_scale(found: Comparison) -> str:
    """Where the first two prompts of several stand among all pairs."""
    (rank, value) = next(
        (rank, pair[2]) for rank, pair in enumerate(found.nearest, 1) if set(pair[:2]) == {0, 1}
    )
    values = [pair[2] for pair in found.nearest]
    return (
        f"Beside {counted(len(found.prompts) - 2, 'other prompt')} of the library that is rank "
        f"{rank} of {counted(len(values), 'pair')}, whose median is {median(values):.3g}."
    )


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def map_headline(found: Map) -> list[str]:
    """How the map was made and how far to trust it."""
    rows = counted(len(found.points), "prompt row")
    if found.change:
        rows = f"what training changed in {rows}"
    near = "" if found.n_neighbors is None else f", {found.n_neighbors} neighbours"
    near += "" if found.perplexity is None else f", perplexity {found.perplexity:g}"
    return [
        f"{METHOD_NAMES[found.method]} of {rows} and {len(found.background):,} vocabulary rows of "
        f"{found.model}, {METRIC_NAMES[found.metric]}, seed {found.seed}{near}.",
        f"Trustworthiness {found.trustworthiness:.2f} among "
        f"{counted(found.trust_sample, 'sampled row')} (1 is perfect; near 0.5 the map's "
        "neighbours say nothing).",
        "Distances on a map are not distances in the model: read neighbours from the original "
        "space.",
    ]


def mixing_headline(found: Mixing) -> list[str]:
    """Where the rows lie, and what that is worth."""
    near, rows = found.near_rows, found.rows
    if rows == 1:
        first = "A single row lies among tokens only: choose more prompts to compare."
    elif near:
        verb = "lies nearer" if near == 1 else "lie nearer"
        of = counted(rows, "prompt row")
        first = f"{near} of {of} {verb} to another prompt row than to any token."
    else:
        first = f"Prompt rows lie among tokens: none of the {rows} is nearer to another prompt row."
    return [
        first,
        f"Expected by chance: {found.expected:.2g} of {rows} ({counted(found.tokens, 'token')} "
        f"against {counted(rows - 1, 'other position')}).",
        f"The median norm of the rows is {found.norm:.3g}, of tokens {found.token_norm:.3g}.",
        f"Counted in the original space by {METRIC_NAMES[found.metric]}, not on the map.",
    ]


_CLUSTERED = {
    "kmeans": "k-means",
    "hdbscan": "HDBSCAN",
    "agglomerative": "agglomerative clustering",
}


def clusters_headline(found: Clusters, *, strong: str = "") -> list[str]:
    """How many clusters there are, what they are worth, and how tight the rows' tokens are."""
    fit = "" if found.silhouette is None else f", silhouette {found.silhouette:.3f} (1 is best)"
    noise = int((found.labels < 0).sum())
    left = f", {noise} in no cluster" if noise else ""
    what = f"{len(found.labels)} {found.items} of {counted(len(found.prompts), 'prompt')}"
    tight = found.tightness
    return [
        f"{strong}{counted(len(found.clusters), 'cluster')}{strong} by {_CLUSTERED[found.method]} "
        f"of {what} on {found.model}{fit}{left}; {METRIC_NAMES[found.metric]}, seed {found.seed}.",
        f"The five tokens nearest to a row have a mean cosine of {tight.rows.mean():.3f} with each "
        f"other ({counted(len(tight.rows), 'row')}); around vocabulary tokens it is "
        f"{tight.tokens.mean():.3f}, among random tokens {tight.random.mean():.3f} "
        f"({len(tight.random)} each): tighter than {tight.percentile:.0f} % of tokens' "
        "neighbourhoods.",
    ]


def drift_headline(found: Drift) -> list[str]:
    """How far the prompt moved, and how many nearest tokens changed on the way."""
    moved = f"{found.prompt} moved by {found.distance[-1].mean():.3g} per position on average"
    lines = [f"{moved} from step {found.steps[0]} to step {found.steps[-1]}."]
    if found.changes is not None:
        times = counted(sum(found.changes), "time")
        lines.append(f"Over these {len(found.steps)} steps nearest tokens changed {times}.")
    return lines


def ablation_headline(found: Ablation) -> list[str]:
    """What the prompt is worth, and how many positions matter."""
    from probe.analysis.ablation import KINDS

    kinds = [kind for kind in KINDS if getattr(found.positions[0], kind) is not None]
    names = {"removed": "removed", "mean": "mean row", "swapped": "swapped with"}
    counts = ", ".join(f"{names[kind]} {found.clear(kind)}" for kind in kinds)
    return [
        f"Without {found.prompt} the loss of {found.loss_nats:.3f} nats changes by "
        f"{found.without_prompt:+.3f}.",
        f"Positions whose change leaves out 0: {counts} of {len(found.positions)}; without any "
        "effect one in twenty would have it.",
    ]


def knock_out_headline(found: LayerKnockOut) -> list[str]:
    """What sight of the prompt is worth in all, and which layers it is worth something in."""
    what = "loss" if found.measured == "loss" else "divergence from the whole prompt"
    gone, blind = found.without_prompt, found.everywhere
    lines = [
        f"Hidden from texts in all {len(found.layers)} layers, {found.prompt} changes the {what} "
        f"by {_change(blind)}; removed, by {_change(gone)}.",
    ]
    cuts = [one.window for one in found.layers if one.window.loss_nats.ends[0] > 0]
    if not cuts:
        which = "layer alone is" if found.window == 1 else f"{found.window} neighbouring layers are"
        worth = "loss" if found.measured == "loss" else "divergence"
        return [*lines, f"No {which} worth a {worth} whose interval leaves out 0."]
    most = max(cuts, key=lambda one: one.loss_nats.value)
    cut = ", ".join(map(str, most.layers))
    many = "layers" if len(most.layers) > 1 else "layer"
    clear = f"{len(found.clear('window'))} of {len(found.layers)} changes leave out 0"
    return [*lines, f"Most is lost without {many} {cut}: {_change(most)}; {clear}."]


def _change(cut: Cut) -> str:
    low, high = cut.loss_nats.ends
    accuracy = "" if cut.accuracy is None else f", accuracy {cut.accuracy.value:+.3f}"
    return f"{cut.loss_nats.value:+.3f} nats [{low:+.3f}, {high:+.3f}]{accuracy}"


def lens_headline(found: Lens | ValueLens) -> list[str]:
    """What the last layer reads, beside what it reads of random rows."""
    last = found.layers[-1]
    return [
        f"At layer {last.layer} the first token has probability {last.top_probability:.3f} on "
        f"average, that of random rows of the same norms {last.random_top_probability:.3f}; "
        f"{last.overlap:.0%} of the tokens are the same.",
    ]


def descriptions_headline(found: Descriptions) -> list[str]:
    """How many of the classes descriptions name, beside those of random rows."""
    return [
        f"Class rate: how many of {', '.join(found.terms)} are named. Best layer "
        f"{found.best_class_rate:.2f}; best layer of random rows "
        f"{found.random_best_class_rate:.2f}, mean of {counted(found.draws, 'draw')}; "
        f"p = {found.p_value:.3f}."
    ]


def transfer_headline(found: Transfer, *, strong: str = "") -> list[str]:
    """How often prompts help on tasks, and on which examples."""
    clear = sum(one.gain_interval[0] > 0 for one in found.cells)
    sizes = ", ".join(f"{task.name} {task.n}" for task in found.tasks)
    return [
        f"{strong}{clear} of {len(found.cells)}{strong} scores are clearly above the model alone "
        "(95 % interval of the paired gain).",
        f"{found.split.capitalize()} examples: {sizes}; seed {found.seed}.",
    ]


def library_headline(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How many prompts there are, and for how many tasks or of which models."""
    if any("where" not in row for row in rows):
        models = sorted({row["base_model"] for row in rows} - {None})
        return [f"{counted(len(rows), 'prompt')} of {', '.join(models) or 'unknown models'}."]
    own = sum(row["where"] == "workspace" for row in rows)
    samples = len(rows) - own
    tasks = len({row["task"] for row in rows} - {None})
    about = f" for {counted(tasks, 'task')}" if tasks else ""
    if not own:
        more = "; add your own to see them here" if samples else ""
        return [f"{counted(samples, 'sample prompt')}{about}{more}."]
    parts = f": {own:,} of your own and {counted(samples, 'sample')}" if samples else " of your own"
    return [f"{counted(len(rows), 'prompt')}{about}{parts}."]


HEADLINES: dict[str, Callable[[Any], list[str]]] = {
    "analysis.Ablation": ablation_headline,
    "analysis.Clusters": clusters_headline,
    "analysis.Comparison": comparison_headline,
    "analysis.Decoding": decoding_headline,
    "analysis.Descriptions": descriptions_headline,
    "analysis.Drift": drift_headline,
    "analysis.GridResult": sweep_headline,
    "analysis.LayerKnockOut": knock_out_headline,
    "analysis.Lens": lens_headline,
    "analysis.Map": map_headline,
    "analysis.Mixing": mixing_headline,
    "analysis.ReadingRates": reading_rates_headline,
    "analysis.Transfer": transfer_headline,
    "analysis.ValueLens": lens_headline,
    "analysis.Waywardness": wayward_headline,
    "evaluation.Comparison": evaluation_headline,
    "store.prompts": library_headline,
}
"""By package and name of the result's class, of lists by what they hold."""
