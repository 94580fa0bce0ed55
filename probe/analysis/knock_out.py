"""In which layers the loss changes when texts do not attend to a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np

from probe.arrays import Float64Array
from probe.bootstrap import RESAMPLES, Bootstrap, Estimate
from probe.results import Result

Range = Literal["window", "up_to", "onward"]
RANGES: tuple[Range, ...] = get_args(Range)
"""Layers around one; it and all before; it and all behind."""


@dataclass(frozen=True, eq=False)
class Losses:
    """What n examples cost."""

    nats: Float64Array
    """[n]"""
    right: Float64Array | None = None
    """[n] 1 where the likeliest label is the right one; None where there are no labels."""


class CutLosses(Protocol):
    """Losses of the examples with some layers cut off from the prompt."""

    def __call__(self, layers: Sequence[int] | None) -> Losses:
        """Measure with these layers cut; None is the model without the prompt."""
        ...


@dataclass(frozen=True)
class Cut:
    """Layers cut off from the prompt, and the changes, paired over the examples."""

    layers: tuple[int, ...]
    loss_nats: Estimate
    """Above 0 the prompt was better where it was seen."""
    accuracy: Estimate | None
    """Below 0 likewise; None where there are no labels."""


@dataclass(frozen=True)
class LayerCuts:
    """What is cut at and around one layer."""

    layer: int
    window: Cut
    up_to: Cut
    onward: Cut


@dataclass(frozen=True)
class LayerKnockOut(Result):
    """How much each layer's sight of a prompt is worth."""

    prompt: str
    n: int
    """Examples, or contexts."""
    seed: int
    """Of the resamples."""
    resamples: int
    measured: Literal["loss", "kl"]
    """`loss`: minus the log-likelihood of the right label. `kl`: the divergence from the model with
    the whole prompt, per token of its own answers."""
    window: int
    """Layers that are cut at once around each."""
    loss_nats: float
    """With the whole prompt in sight."""
    accuracy: float | None
    without_prompt: Cut
    """The prompt is removed, so that positions move too."""
    everywhere: Cut
    """Every layer is cut: what the prompt does by the places it takes alone."""
    layers: tuple[LayerCuts, ...]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> LayerKnockOut:
        """What `to_json` wrote, among other things or alone."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(document)

    def clear(self, kind: Range) -> list[int]:
        """Layers whose change of the loss leaves out 0; one in twenty would without any effect."""
        return [one.layer for one in self.layers if getattr(one, kind).loss_nats.clear]

    def _rows(self) -> list[dict[str, Any]]:
        """One row per layer and range."""
        return [
            {"prompt": self.prompt, "layer": one.layer, "range": kind, **_row(cut)}
            for one in self.layers
            for kind in RANGES
            if (cut := getattr(one, kind))
        ]


def knock_out(
    prompt: str,
    measure: CutLosses,
    layers: int,
    *,
    measured: Literal["loss", "kl"] = "loss",
    window: int = 1,
    seed: int = 0,
) -> LayerKnockOut:
    """Cut layers off from a prompt, range after range, and measure the examples again.

    Args:
        prompt: its name.
        measure: of a model, a prompt and examples.
        layers: of the model, L.
        measured: what the losses are.
        window: layers cut at once around each.
        seed: of the paired bootstrap over examples (Efron 1979).

    Raises:
        ValueError: the window is none.
    """
    if window < 1:
        raise ValueError(f"the window must be 1 layer or more, found {window}")
    whole = measure(())
    bootstrap = Bootstrap(len(whole.nats), RESAMPLES, seed)
    known: dict[tuple[int, ...] | None, Cut] = {}

    def cut(chosen: Sequence[int] | None) -> Cut:
        key = None if chosen is None else tuple(chosen)
        if key not in known:
            known[key] = _cut(key or (), whole, measure(key), bootstrap)
        return known[key]

    every = range(layers)
    return LayerKnockOut(
        prompt=prompt,
        n=len(whole.nats),
        seed=seed,
        resamples=RESAMPLES,
        measured=measured,
        window=window,
        loss_nats=float(whole.nats.mean()),
        accuracy=None if whole.right is None else float(whole.right.mean()),
        without_prompt=cut(None),
        everywhere=cut(every),
        layers=tuple(
            LayerCuts(
                layer,
                window=cut(_around(layer, window, layers)),
                up_to=cut(every[: layer + 1]),
                onward=cut(every[layer:]),
            )
            for layer in every
        ),
    )


def _around(layer: int, window: int, layers: int) -> range:
    """As many layers with this one in their middle, fewer at the ends."""
    first = layer - (window - 1) // 2
    return range(max(first, 0), min(first + window, layers))


def _cut(layers: tuple[int, ...], whole: Losses, found: Losses, bootstrap: Bootstrap) -> Cut:
    columns = [found.nats - whole.nats]
    if found.right is not None and whole.right is not None:
        columns.append(found.right - whole.right)
    loss, *accuracy = bootstrap.estimates(np.stack(columns, axis=1))
    return Cut(layers, loss, accuracy[0] if accuracy else None)


def _row(cut: Cut) -> dict[str, Any]:
    low, high = cut.loss_nats.ends
    accuracy = None if cut.accuracy is None else cut.accuracy.value
    return {
        "layers": ",".join(map(str, cut.layers)),
        "loss_change_nats": cut.loss_nats.value,
        "low": low,
        "high": high,
        "accuracy_change": accuracy,
    }
