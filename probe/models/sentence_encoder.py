"""Sentence encoders: labels are texts too, and the nearest one wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from probe.models.frozen import FrozenModel
from probe.models.injection import Injection, no_prompt
from probe.models.inputs import grouped, number_table, padded
from probe.models.masked import encoder_positions
from probe.models.rows import Row, by_label

SCALE = 20.0
"""Factor on cosines: what such encoders are trained with (sentence-transformers'
`MultipleNegativesRankingLoss`, a softmax over 20 · cosine), so scores suit the model."""


class SentenceEncoder(FrozenModel):
    """A sentence encoder; the prompt stands behind the first special token.

    A text's embedding is the mean over its own positions, special tokens included and prompt rows
    not, so without a prompt it is the published model's. Its label scores are log-probabilities of
    a softmax over scaled cosines to the embeddings of the label texts, read without a prompt; every
    objective is their cross-entropy.
    """

    family = "sentence_encoder"
    automatic = "AutoModel"
    labels = "own_text"
    writes = False

    def __init__(self, name: str, model: Any, tokenizer: Any) -> None:
        super().__init__(name, model, tokenizer)
        self._labels: dict[tuple[tuple[int, ...], ...], Tensor] = {}

    @property
    def positions(self) -> int | None:
        """Most positions the model can read."""
        return encoder_positions(self)

    def label_scores(
        self, injection: Injection | None, rows: Sequence[Row], which: Tensor | None = None
    ) -> Tensor:
        """Log-probability in nats of every label of every row, [B, labels], with gradients.

        Rows with fewer labels than others are filled with -inf.
        """
        texts = self.embeddings(injection, rows, which)
        most = max(len(row.options) for row in rows)
        scores = texts.new_full((len(rows), most), -torch.inf)
        for members in grouped(row.options for row in rows):
            options, index = rows[members[0]].options, torch.tensor(members, device=texts.device)
            cosines = texts[index] @ self._label_embeddings(options).T
            logits = (SCALE * cosines).log_softmax(-1)
            wide = pad(logits, (0, most - len(options)), value=-torch.inf)
            scores = scores.index_copy(0, index, wide)
        return by_label(scores, rows)

    def embeddings(
        self, injection: Injection | None, rows: Sequence[Row], which: Tensor | None = None
    ) -> Tensor:
        """Unit embeddings [B, H] of the rows under their prompts, with gradients."""
        batch = self.batch_of(injection, rows, which)
        lengths = batch.injection.lengths
        items = [row.items(lengths[k]) for row, k in zip(rows, batch.choice, strict=True)]
        return self._embed_items(batch.injection, batch.choice, items)

    def _embed_items(
        self, injection: Injection, choice: Sequence[int], items: Sequence[Sequence[int]]
    ) -> Tensor:
        self.check_room(max(map(len, items)))
        if not self.pads and len(groups := grouped(map(len, items))) > 1:
            parts = [
                self._embed_items(injection, [choice[i] for i in group], [items[i] for i in group])
                for group in groups
            ]
            order = torch.tensor([i for group in groups for i in group]).argsort()
            return torch.cat(parts)[order.to(self.device)]
        embeddings, present = padded(self.embed, injection.embeddings, choice, items)
        with self.precision():
            output = self.model(inputs_embeds=embeddings, attention_mask=present)
        own = number_table([[int(i >= 0) for i in row] for row in items], present.device)
        weights = own.clamp(min=0).float()[..., None]
        states = output.last_hidden_state.float()
        return normalize((states * weights).sum(1) / weights.sum(1), dim=-1)

    def _label_embeddings(self, options: tuple[tuple[int, ...], ...]) -> Tensor:
        """Unit embeddings [labels, H] of label texts, kept as long as the weights are frozen.

        While these are trained, labels carry gradients to them and are embedded anew each time.
        """
        trained = any(weight.requires_grad for weight in self.model.parameters())
        if trained:
            self._labels.clear()  # of earlier weights
        if options not in self._labels:
            found = self._embed_items(no_prompt(), [0] * len(options), options)
            if trained:
                return found
            self._labels[options] = found
        return self._labels[options]
