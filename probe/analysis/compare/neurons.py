"""Do two prompts make the same feed-forward neurons fire?"""

from __future__ import annotations

import numpy as np

from probe.arrays import Float64Array, FloatArray
from probe.linalg import unit_rows
from probe.texts import counted


def neuron_overlap(activations: FloatArray) -> Float64Array:
    """Cosine of the binarised activations (> 0) of every two prompts, [N, N].

    Source: Su et al. 2022, "On Transferability of Prompt Tuning", §5.2 (overlapping rate of
    activated neurons). Of a gated unit (SwiGLU) the gate is meant.

    Args:
        activations: [N, L, F] of one group of layers.

    Raises:
        ValueError: there is no layer or no neuron.
    """
    if activations.ndim != 3 or 0 in activations.shape:
        raise ValueError(
            f"activations must be [N, L, F] of one layer or more, found {activations.shape}: this "
            "model shows no feed-forward activations, or the layers asked for are not there"
        )
    fires = unit_rows((activations > 0).reshape(len(activations), -1).astype(np.float64))
    return np.asarray(np.clip(fires @ fires.T, 0, 1), dtype=np.float64)


def layer_groups(layers: int, groups: int = 3) -> tuple[slice, ...]:
    """Consecutive groups of layers as equal as can be, lowest first: slices for `activations`.

    Raises:
        ValueError: there are fewer layers than groups, or no group.
    """
    if not 1 <= groups <= layers:
        raise ValueError(f"groups must be 1 to the {counted(layers, 'layer')}, found {groups}")
    parts = np.array_split(np.arange(layers), groups)
    return tuple(slice(int(part[0]), int(part[-1]) + 1) for part in parts)
