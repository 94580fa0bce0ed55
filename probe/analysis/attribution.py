"""What each row adds to a prompt's effect on the loss, by gradients.

*Gradient × input* takes the loss to be linear: (b - p) · ∂L/∂p, row by row, where b is the baseline
(Shrikumar et al. 2017; the baseline 0 gives it its name). *Integrated gradients* (Sundararajan,
Taly & Yan 2017, equation 1) follow the gradient on the straight line from p to b, so that the rows'
parts sum to L(b) - L(p): they are complete. Signs are those of an ablation: above 0 the loss would
rise if the row became the baseline's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from probe.arrays import Float64Array
from probe.bootstrap import Bootstrap, Estimate
from probe.prompt import AnyPrompt, with_arrays
from probe.protocols import Slopes
from probe.requests.insides import Attribution, Baseline
from probe.results import Result

_POWER = 4
"""A norm forgets how long a row is until it is nearly zero, where everything happens at once."""


@dataclass(frozen=True, eq=False)
class Attributed(Result):
    """The parts of a prompt's positions in a change of the loss."""

    _left_out: ClassVar[frozenset[str]] = frozenset({"by_example"})
    method: Attribution
    baseline: Baseline
    steps: int
    """Points on the line; 1 for gradient × input."""
    by_example: Float64Array
    """[n, P] nats."""
    positions: tuple[Estimate, ...]
    """Mean over the examples, with its interval."""
    baseline_change_nats: float
    """L(baseline) - L(prompt), mean over the examples."""
    gap_nats: float
    """By how much the parts' sum misses that: 0 for integrated gradients but for the points."""


def attributed(
    prompt: AnyPrompt,
    baseline: AnyPrompt,
    slopes: Slopes,
    *,
    method: Attribution,
    named: Baseline,
    steps: int = 32,
    bootstrap: Bootstrap,
) -> Attributed:
    """Divide the change of the loss on the way to a baseline among the positions.

    Args:
        prompt: P positions.
        baseline: of the same shape.
        slopes: of a model and examples.
        method: gradient × input, or integrated gradients by Gauss–Legendre quadrature.
        named: what the baseline is called.
        steps: points of the quadrature.
        bootstrap: of the examples.
    """
    way = moved(prompt, baseline, along=1.0, direction=True)
    points, weights = _quadrature(method, steps, power=_POWER if named == "zero" else 1)
    parts: Any = 0.0
    for point, weight in zip(points, weights, strict=True):
        parts = parts + weight * slopes(moved(prompt, baseline, along=point), way)[1]
    change = slopes(baseline, way)[0] - slopes(prompt, way)[0]
    return Attributed(
        method=method,
        baseline=named,
        steps=len(points),
        by_example=parts,
        positions=tuple(bootstrap.estimates(parts)),
        baseline_change_nats=float(change.mean()),
        gap_nats=float(parts.sum(1).mean() - change.mean()),
    )


def _quadrature(
    method: Attribution, steps: int, *, power: int
) -> tuple[Sequence[float], Sequence[float]]:
    """Points between 0, the prompt, and 1, the baseline, with weights that sum to 1.

    With a power they crowd towards the baseline: 1 - uᵖ for Gauss–Legendre points u.
    """
    if method == "gradient_input":
        return [0.0], [1.0]
    points, weights = np.polynomial.legendre.leggauss(steps)
    left = (points + 1) / 2
    scaled = weights / 2 * power * left ** (power - 1)
    return (1 - left**power).tolist(), (scaled / scaled.sum()).tolist()


def moved(
    prompt: AnyPrompt, baseline: AnyPrompt, *, along: float, direction: bool = False
) -> AnyPrompt:
    """A prompt on the way to a baseline; as a direction, the way itself."""

    def between(_: int, own: Any, other: Any) -> Any:
        return along * (other - own) + (0 if direction else own)

    return with_arrays(prompt, between, baseline)


def level(prompt: AnyPrompt, *, to: Literal["zero", "mean"]) -> AnyPrompt:
    """A prompt with zeros, or the mean of its rows, at every position."""

    def levelled(axis: int, array: Any) -> Any:
        mean = np.broadcast_to(array.mean(axis=axis, keepdims=True), array.shape)
        return np.zeros_like(array) if to == "zero" else mean

    return with_arrays(prompt, levelled)
