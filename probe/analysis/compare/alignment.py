"""Do the positions of two prompts relate to each other alike, whatever space they live in?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from probe.arrays import Float64Array, FloatArray

_MIN_LENGTH = 4
"""Positions from which the debiased estimator is defined; `probe.measures` says so too."""


def cka(prompts: Sequence[FloatArray]) -> Float64Array:
    """Linear centred kernel alignment with the debiased HSIC, [N, N].

    CKA is HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)) with K = X Xᵀ (Kornblith et al. 2019, "Similarity
    of Neural Network Representations Revisited", §3); HSIC is the unbiased estimator of Song et al.
    2012, "Feature Selection via Dependence Maximization", eq. 5, which is the inner product of the
    U-centred matrices over P(P − 3) (Székely & Rizzo 2014). Widths may differ. Debiased values may
    fall below 0; a prompt whose rows are all alike aligns with nothing.

    Args:
        prompts: N arrays [P, H] of one P ≥ 4.

    Raises:
        ValueError: fewer than 4 positions.
    """
    if len(prompts[0]) < _MIN_LENGTH:
        raise ValueError(
            f"cka needs {_MIN_LENGTH} positions or more for its debiased estimator, found "
            f"{len(prompts[0])}: use another measure"
        )
    centred = np.stack([_u_centred(rows).ravel() for rows in prompts])
    products = centred @ centred.T
    lengths = np.sqrt(np.diag(products))
    # Rounding alone must not pass for structure where all rows are alike.
    sizes = np.array([np.square(rows, dtype=np.float64).sum() for rows in prompts])
    real = lengths > 1e-12 * sizes
    scale = np.where(real, lengths, np.inf)
    return np.asarray(np.clip(products / scale / scale[:, None], -1, 1), dtype=np.float64)


def _u_centred(rows: FloatArray) -> Float64Array:
    """Székely and Rizzo's centring of the linear kernel, [P, P], diagonal 0."""
    wide = rows.astype(np.float64)
    wide = wide - wide.mean(axis=0)  # changes nothing but the digits that are kept
    kernel = wide @ wide.T
    np.fill_diagonal(kernel, 0)
    count = len(kernel)
    sums = kernel.sum(axis=0) / (count - 2)
    total = kernel.sum() / ((count - 1) * (count - 2))
    kernel = kernel - sums - sums[:, None] + total
    np.fill_diagonal(kernel, 0)
    return np.asarray(kernel, dtype=np.float64)
