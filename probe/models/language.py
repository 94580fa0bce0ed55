"""Frozen models that give tokens a likelihood: losses and label scores from it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from probe.models.frozen import FrozenModel, choices
from probe.models.injection import Injection, no_prompt
from probe.models.label_words import by_label
from probe.models.rows import Row, label_tokens, right_option


class LanguageModel(FrozenModel):
    """A frozen model that predicts tokens; families differ in how they run rows."""

    def losses(
        self, injection: Injection | None, rows: Sequence[Row], which: Tensor | None = None
    ) -> Tensor:
        """Loss of every row in nats, [B]: the mean over its scored tokens, or over labels."""
        full = [i for i, row in enumerate(rows) if row.objective != "label_words"]
        if len(full) == len(rows):
            right = [row.words[right_option(row)] for row in rows]
            sums = self._option_scores(injection, rows, which, right)
            tokens = torch.tensor([label_tokens(row, self.family) for row in rows])
            return -sums.logsumexp(1) / tokens.to(sums.device)
        scores = self.label_scores(injection, rows, which)
        labels = torch.tensor([right_option(row) for row in rows], device=scores.device)
        restricted = cross_entropy(scores, labels, reduction="none")
        if not full:
            return restricted
        chosen = torch.tensor(full, device=scores.device)
        others = None if which is None else which.to(scores.device)[chosen]
        whole = self.losses(injection, [rows[i] for i in full], others)
        return restricted.index_copy(0, chosen, whole)

    def label_scores(
        self, injection: Injection | None, rows: Sequence[Row], which: Tensor | None = None
    ) -> Tensor:
        """Log-likelihood in nats of every label of every row, [B, labels], with gradients.

        That of a label with several words is the log of the sum of their likelihoods. Rows with
        fewer labels than others are filled with -inf.
        """
        every = [list(range(len(row.options))) for row in rows]
        return by_label(self._option_scores(injection, rows, which, every), rows)

    def _option_scores(
        self,
        injection: Injection | None,
        rows: Sequence[Row],
        which: Tensor | None,
        picks: Sequence[Sequence[int]],
    ) -> Tensor:
        """Summed log-likelihood in nats of the picked options, [B, picks]; -inf behind the last."""
        injection = no_prompt() if injection is None else injection
        self.check(injection)
        choice = choices(injection, len(rows), which)
        scores, owners = self._token_scores(injection, rows, choice, picks)
        most = max(map(len, picks))
        sums = scores.new_zeros(len(rows) * most).index_add(0, owners, scores)
        counts = torch.bincount(owners, minlength=len(rows) * most)
        return sums.masked_fill(counts == 0, -torch.inf).view(-1, most)

    @abstractmethod
    def _token_scores(
        self,
        injection: Injection,
        rows: Sequence[Row],
        choice: list[int],
        picks: Sequence[Sequence[int]],
    ) -> tuple[Tensor, Tensor]:
        """Log-likelihood in nats of every scored token, [M], and its place in [B · picks], [M]."""


def log_likelihoods(logits: Tensor, places: Tensor, targets: Tensor) -> Tensor:
    """Log-likelihood in nats of target ids, [M].

    Args:
        logits: [U, V].
        places: [M] rows of the logits.
        targets: [M] ids.
    """
    logits = logits.float()
    chosen = logits[places, targets.to(logits.device)]
    return chosen - logits.logsumexp(-1)[places]
