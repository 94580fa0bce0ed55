"""Frozen models that give tokens a likelihood: losses and label scores from it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from probe.models.frozen import FrozenModel
from probe.models.injection import Batch, Injection, InjectionError
from probe.models.rows import Row, by_label, right_option
from probe.models.shortcuts import logits_at
from probe.template import RowError


class LanguageModel(FrozenModel):
    """A frozen model that predicts tokens; families differ in how they run rows."""

    def losses(
        self, injection: Injection | None, rows: Sequence[Row], which: Tensor | None = None
    ) -> Tensor:
        """Loss of every row in nats, [B]: the mean over its scored tokens, or over labels."""
        kinds = [_kind(row) for row in rows]
        if len(set(kinds)) == 1:
            return self._losses_of(kinds[0], injection, rows, which)
        parts, order = [], []
        for kind in sorted(set(kinds)):
            mine = [i for i, other in enumerate(kinds) if other == kind]
            own = None if which is None else which[torch.tensor(mine, device=which.device)]
            parts.append(self._losses_of(kind, injection, [rows[i] for i in mine], own))
            order += mine
        together = torch.cat(parts)
        places = torch.tensor(order, device=together.device)
        return torch.empty_like(together).index_copy(0, places, together)

    def _losses_of(
        self, kind: str, injection: Injection | None, rows: Sequence[Row], which: Tensor | None
    ) -> Tensor:
        """Losses of rows of one kind, [B]."""
        if kind == "distill":
            return self._divergences(injection, rows, which)
        if kind == "full":
            right = [row.words[right_option(row)] for row in rows]
            sums = self._option_scores(injection, rows, which, right)
            tokens = torch.tensor([self.label_tokens(row) for row in rows])
            return -sums.logsumexp(1) / tokens.to(sums.device)
        return super().losses(injection, rows, which)

    def _divergences(
        self, injection: Injection | None, rows: Sequence[Row], which: Tensor | None
    ) -> Tensor:
        """Mean over each row's target tokens of KL(teacher ‖ student) in nats, [B]."""
        logits, owners = self.target_logits(injection, rows, which)
        teachers = [row.teacher for row in rows if row.teacher is not None]
        expected = torch.cat([one.probabilities for one in teachers]).to(logits.device).float()
        expected = expected / expected.sum(-1, keepdim=True)
        entropy = torch.cat([one.entropy_nats for one in teachers]).to(logits.device)
        crossed = logits.logsumexp(-1) - (expected * logits).sum(-1)
        sums = logits.new_zeros(len(rows)).index_add(0, owners, crossed - entropy)
        return sums / torch.bincount(owners, minlength=len(rows))

    def target_logits(
        self, injection: Injection | None, rows: Sequence[Row], which: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits that predict every token of every row's right option, with gradients.

        Returns:
            Logits [M, V] float32, row by row and token by token, and the row of each, [M].

        Raises:
            InjectionError: the prompts do not fit, or the family cannot do it.
        """
        return self._target_logits(self.batch_of(injection, rows, which))

    def _target_logits(  # families that can be distilled have their own
        self,
        batch: Batch,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        raise InjectionError(
            f"{self.name} ({self.family}) cannot be distilled: use a causal language model"
        )

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
        scores, owners = self._token_scores(self.batch_of(injection, rows, which), picks)
        most = max(map(len, picks))
        sums = scores.new_zeros(len(rows) * most).index_add(0, owners, scores)
        counts = torch.bincount(owners, minlength=len(rows) * most)
        return sums.masked_fill(counts == 0, -torch.inf).view(-1, most)

    @abstractmethod
    def _token_scores(self, batch: Batch, picks: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Log-likelihood in nats of every scored token, [M], and its place in [B · picks], [M]."""

    def _score_one(self, injection: Injection, row: Row) -> Tensor:
        """Log-likelihood in nats of a row's one option of one token, [1], unchecked."""
        return self._token_scores(Batch(injection, [row], [0]), [[0]])[0]

    def _scores_at(
        self, asked: Sequence[tuple[int, ...]], length: int, arguments: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Log-likelihoods of tokens in a padded pass, [M], and what each counts for, [M].

        Args:
            asked: of each token the sequence and place that predict it, its id, its owner.
            length: of all sequences.
            arguments: of the model.
        """
        sequences, places, targets, owners = np.asarray(asked).T
        unique, inverse = np.unique(sequences * length + places, return_inverse=True)
        with self.precision():
            logits = logits_at(self.model, torch.from_numpy(unique), arguments)
        scores = log_likelihoods(logits, torch.from_numpy(inverse), torch.from_numpy(targets))
        return scores, torch.from_numpy(owners).to(scores.device)


def _kind(row: Row) -> str:
    """Which of the losses a row has."""
    if row.objective == "distill" and row.teacher is None:
        raise RowError("a distilled row needs its teacher's probabilities, found none")
    return row.objective if row.objective in ("distill", "label_words") else "full"


def log_likelihoods(logits: Tensor, places: Tensor, targets: Tensor) -> Tensor:
    """Log-likelihood in nats of target ids, [M], by the rows of logits [U, V] at their places."""
    logits = logits.float()
    chosen = logits[places, targets.to(logits.device)]
    return chosen - logits.logsumexp(-1)[places]
