"""From the likelihoods of label words to those of labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from probe.models.rows import Row


def by_label(scores: Tensor, rows: Sequence[Row]) -> Tensor:
    """Log-likelihoods [B, words] in nats as those of labels, [B, labels].

    The likelihood of a label is the sum of its words'. Rows with fewer labels than others are
    filled with -inf.
    """
    if not any(row.classes for row in rows):
        return scores
    words = [row.words for row in rows]
    most = max(map(len, words))
    own = torch.zeros(len(rows), most, scores.shape[1], dtype=torch.bool)
    for number, labels in enumerate(words):
        for label, options in enumerate(labels):
            own[number, label, options] = True
    own = own.to(scores.device)
    none = ~own.any(-1)
    # The gradient of a logsumexp over nothing is no number, so where no label is stands a zero.
    each = scores[:, None].masked_fill(~own, -torch.inf).masked_fill(none[..., None], 0.0)
    return each.logsumexp(-1).masked_fill(none, -torch.inf)
