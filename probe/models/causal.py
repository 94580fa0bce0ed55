"""Causal language models: the packed pass with shared prompts, and the plain one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from probe.models.embedding import takes
from probe.models.generation import Anew, CausalStep, Pace, Pick, Step, continuations, pace_of
from probe.models.injection import Batch, Injection, InjectionError, no_prompt
from probe.models.inputs import grouped, packed_inputs, plain_inputs
from probe.models.language import LanguageModel, log_likelihoods
from probe.models.packing import ARCHITECTURES, PACKED
from probe.models.prefixes import causal_prefix_shape
from probe.models.rows import right_option
from probe.models.sequences import (
    ScoredTokens,
    TokenSequence,
    sequence_of,
    sequences_of,
    unbranched,
)
from probe.models.shortcuts import layer_list, logits_at, shorten_last_layer


class CausalModel(LanguageModel):
    """A causal language model; `plain` makes it run every row as transformers itself would."""

    family = "causal"
    automatic = "AutoModelForCausalLM"
    labels = "in_text"
    writes = True
    peft_task = "CAUSAL_LM"

    def __init__(self, name: str, model: Any, tokenizer: Any, *, plain: bool = False) -> None:
        super().__init__(name, model, tokenizer)
        self.packs = self.config.model_type in ARCHITECTURES
        self.plain = plain or not self.packs
        if self.packs:
            self.model.set_attn_implementation(PACKED)
            shorten_last_layer(layer_list(self.model)[-1])

    @cached_property
    def kv_shape(self) -> tuple[int, int, int] | None:
        """(layers, heads, head_dim) of a key/value prefix, read off the model's own cache."""
        return causal_prefix_shape(self, self._score_one, tested=self.packs)

    def _token_scores(self, batch: Batch, picks: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        logits, inverse, scored = self._scored_logits(batch, picks)
        scores = log_likelihoods(logits, torch.from_numpy(inverse), torch.tensor(scored.targets))
        return scores, torch.tensor(scored.owners, device=scores.device)

    def _target_logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        right = [[right_option(row)] for row in batch.rows]
        logits, inverse, scored = self._scored_logits(batch, right)
        in_order = torch.from_numpy(inverse).to(logits.device)
        return logits.float()[in_order], torch.tensor(scored.owners, device=logits.device)

    def _scored_logits(
        self, batch: Batch, picks: Sequence[Sequence[int]]
    ) -> tuple[Tensor, NDArray[np.int64], ScoredTokens]:
        """Logits [U, V] of U different places, and the place of each scored token, [M]."""
        sequences, scored = sequences_of(batch, picks)
        self.check_room(_longest(sequences))
        if self.plain:
            sequences, scored = unbranched(sequences, scored)
        run = plain_inputs if self.plain else packed_inputs
        inputs, starts = run(self, batch.injection, sequences)
        flat = starts[scored.sequences] + np.asarray(scored.indices)
        unique, inverse = np.unique(flat, return_inverse=True)
        with self.precision():
            logits = logits_at(self.model, torch.from_numpy(unique), inputs)
        return logits, inverse, scored

    def _continue(self, batch: Batch, max_new_tokens: int, pick: Pick) -> list[list[int]]:
        injection, pairs = batch.injection, zip(batch.rows, batch.choice, strict=True)
        sequences = [sequence_of(injection, *pair) for pair in pairs]
        inside = injection.key_values is None
        if not all(sequence.trunk or (sequence.length and inside) for sequence in sequences):
            raise InjectionError("an empty text without a prompt leaves nothing to continue")
        self.check_room(_longest(sequences) + max_new_tokens)
        written: list[list[int]] = [[] for _ in sequences]
        for group in self._batches(injection, sequences):
            step = self._steps(injection, [sequences[i] for i in group], self.pace)
            found = continuations(step, self.stops, max_new_tokens, pick)
            for i, ids in zip(group, found, strict=True):
                written[i] = ids
        return written

    @cached_property
    def pace(self) -> Pace:
        """How texts can be continued, found by trying."""
        if self.packs:
            return "together"  # tested
        usual = range(self.vocabulary_size // 2, self.vocabulary_size)
        texts = [list(usual[:5]), list(usual[5:8])]
        sequences = [TokenSequence(0, 0, ahead=True, trunk=text, branches=[]) for text in texts]

        def tried(pace: Pace) -> Callable[[list[int]], Step]:
            return lambda which: self._steps(no_prompt(), [sequences[i] for i in which], pace)

        with torch.no_grad(), self.precision():
            return pace_of(tried("together"), tried("anew"))

    def _steps(self, injection: Injection, sequences: Sequence[TokenSequence], pace: Pace) -> Step:
        """Next-token logits of sequences, token by token."""
        if pace == "anew":
            return Anew(partial(self._behind, injection, sequences), len(sequences))
        inputs, _ = plain_inputs(self, injection, sequences, left=True)
        return CausalStep(
            self.model,
            self.embed_ids,
            inputs["inputs_embeds"],
            inputs["attention_mask"],
            inputs.get("past_key_values", DynamicCache(config=self.model.config)),
            positions=takes(self.model, "position_ids"),
        )

    def _behind(
        self,
        injection: Injection,
        sequences: Sequence[TokenSequence],
        written: Sequence[Sequence[int]],
    ) -> Tensor:
        """Next-token logits [B, V] behind sequences and what was written after them."""
        longer = [
            replace(sequence, branches=[list(ids)])
            for sequence, ids in zip(sequences, written, strict=True)
        ]
        inputs, starts = plain_inputs(self, injection, longer)
        places = starts + [len(sequence.items) - 1 for sequence in longer]
        return logits_at(self.model, torch.from_numpy(places), inputs)

    def _batches(self, injection: Injection, sequences: Sequence[TokenSequence]) -> list[list[int]]:
        """Sequences that can be generated from together.

        Between a prefix in the cache and a text padded on the left there would be a hole, which
        sliding windows cannot stand; there, only texts of one length go together.
        """
        cache = DynamicCache(config=self.model.config)
        hole = injection.key_values is not None and any(cache.is_sliding)
        if not hole and self.pace != "by length":
            return [list(range(len(sequences)))]
        return grouped((one.length if one.ahead else 0, len(one.trunk)) for one in sequences)


def _longest(sequences: Sequence[TokenSequence]) -> int:
    """Positions that the longest of sequences takes with its prompt."""
    return max(max(one.positions, default=one.length - 1) + 1 for one in sequences)
