"""Masked language models with a verbalizer: label words are read off mask tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from probe.errors import ModelNotFoundError
from probe.models.frozen import FrozenModel, position_limit
from probe.models.injection import Batch, Injection
from probe.models.inputs import grouped, padded
from probe.models.language import LanguageModel
from probe.tables.facts import without_mask


class MaskedModel(LanguageModel):
    """A masked language model; the prompt stands behind the first special token.

    A label word of n tokens is asked for at n masks at once, so words of different length take
    different passes. Attention runs both ways: every row has its own copy of the prompt.
    """

    family = "masked"
    automatic = "AutoModelForMaskedLM"
    labels = "in_text"
    writes = False

    def __init__(self, name: str, model: Any, tokenizer: Any) -> None:
        super().__init__(name, model, tokenizer)
        if tokenizer.mask_token_id is None:
            raise ModelNotFoundError(without_mask(name))

    @property
    def label_placeholder(self) -> list[int]:
        """The mask."""
        return [int(self.tokenizer.mask_token_id)]

    @property
    def positions(self) -> int | None:
        """Most positions the model can read; some count theirs from the padding token's id on."""
        return encoder_positions(self)

    def _token_scores(self, batch: Batch, picks: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        items: list[list[int]] = []
        prompts: list[int] = []
        asked: list[tuple[int, int, int, int]] = []  # sequence, place, target, owner
        most = max(map(len, picks))
        (mask,) = self.label_placeholder
        every = zip(batch.rows, batch.choice, picks, strict=True)
        for index, (row, prompt, picked) in enumerate(every):
            length, known = batch.injection.lengths[prompt], {}
            start = row.label_start(length)
            for number, option in enumerate(row.options[pick] for pick in picked):
                if len(option) not in known:
                    known[len(option)] = len(items)
                    items.append(row.items(length, [mask] * len(option)))
                    prompts.append(prompt)
                asked += [
                    (known[len(option)], start + j, target, index * most + number)
                    for j, target in enumerate(option)
                ]
        self.check_room(max(map(len, items)))
        groups = [list(range(len(items)))] if self.pads else grouped(map(len, items))
        parts = [
            self._group_scores(batch.injection, prompts, items, asked, group) for group in groups
        ]
        scores, owners = zip(*parts, strict=True)
        return torch.cat(scores), torch.cat(owners)

    def _group_scores(
        self,
        injection: Injection,
        prompts: Sequence[int],
        items: Sequence[Sequence[int]],
        asked: Sequence[tuple[int, int, int, int]],
        group: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        """Scores and owners of what is asked of some of the sequences, run together."""
        new = {number: index for index, number in enumerate(group)}
        own = [(new[number], *rest) for number, *rest in asked if number in new]
        chosen = [items[number] for number in group]
        of = [prompts[number] for number in group]
        embeddings, present = padded(self.embed, injection.embeddings, of, chosen)
        arguments = {"inputs_embeds": embeddings, "attention_mask": present}
        return self._scores_at(own, embeddings.shape[1], arguments)


def encoder_positions(model: FrozenModel) -> int | None:
    """Positions of a bidirectional model, less those it starts counting at.

    RoBERTa and its kin number positions from `padding_idx + 1` on.
    """
    limit = position_limit(model.config)
    embeddings = getattr(model.model.base_model, "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    if limit is None or padding is None:
        return limit
    return limit - int(padding) - 1
