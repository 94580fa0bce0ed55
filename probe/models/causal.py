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

from probe.models.generation import Anew, CausalStep, Pace, Pick, Step, continuations, pace_of
from probe.models.injection import Injection, InjectionError, no_prompt
from probe.models.inputs import packed_inputs, plain_inputs, takes_positions
from probe.models.language import LanguageModel, log_likelihoods
from probe.models.packing import ARCHITECTURES, PACKED
from probe.models.prefix_shapes import causal_prefix_shape
from probe.models.rows import Family, Row, right_option
from probe.models.shortcuts import layer_list, logits_at, shorten_last_layer
from probe.models.strands import Strand, Wanted, strand_of, strands_of, unbranched


class CausalModel(LanguageModel):
    """A causal language model; `plain` makes it run every row as transformers itself would."""

    family: Family = "causal"

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

    def _token_scores(
        self,
        injection: Injection,
        rows: Sequence[Row],
        choice: list[int],
        picks: Sequence[Sequence[int]],
    ) -> tuple[Tensor, Tensor]:
        logits, inverse, wanted = self._wanted_logits(injection, rows, choice, picks)
        scores = log_likelihoods(logits, torch.from_numpy(inverse), torch.tensor(wanted.targets))
        return scores, torch.tensor(wanted.owners, device=scores.device)

    def _target_logits(
        self, injection: Injection, rows: Sequence[Row], choice: list[int]
    ) -> tuple[Tensor, Tensor]:
        right = [[right_option(row)] for row in rows]
        logits, inverse, wanted = self._wanted_logits(injection, rows, choice, right)
        in_order = torch.from_numpy(inverse).to(logits.device)
        return logits.float()[in_order], torch.tensor(wanted.owners, device=logits.device)

    def _wanted_logits(
        self,
        injection: Injection,
        rows: Sequence[Row],
        choice: list[int],
        picks: Sequence[Sequence[int]],
    ) -> tuple[Tensor, NDArray[np.int64], Wanted]:
        """Logits [U, V] of U different places, and the place of each wanted token, [M]."""
        strands, wanted = strands_of(injection, rows, choice, picks)
        self._check_room(strands)
        if self.plain:
            strands, wanted = unbranched(strands, wanted)
        run = plain_inputs if self.plain else packed_inputs
        inputs, starts = run(self, injection, strands)
        flat = starts[wanted.strands] + np.asarray(wanted.places)
        unique, inverse = np.unique(flat, return_inverse=True)
        with self.precision():
            logits = logits_at(self.model, torch.from_numpy(unique), inputs)
        return logits, inverse, wanted

    def _continue(
        self,
        injection: Injection,
        rows: Sequence[Row],
        choice: list[int],
        max_new_tokens: int,
        pick: Pick,
    ) -> list[list[int]]:
        strands = [strand_of(injection, *pair) for pair in zip(rows, choice, strict=True)]
        inside = injection.key_values is None
        if not all(strand.trunk or (strand.length and inside) for strand in strands):
            raise InjectionError("an empty text without a prompt leaves nothing to continue")
        self._check_room(strands, max_new_tokens)
        written: list[list[int]] = [[] for _ in rows]
        for group in self._batches(injection, strands):
            step = self._steps(injection, [strands[i] for i in group], self.pace)
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
        strands = [Strand(0, 0, ahead=True, trunk=text, branches=[]) for text in texts]

        def tried(pace: Pace) -> Callable[[list[int]], Step]:
            return lambda which: self._steps(no_prompt(), [strands[i] for i in which], pace)

        with torch.no_grad(), self.precision():
            return pace_of(tried("together"), tried("anew"))

    def _steps(self, injection: Injection, strands: Sequence[Strand], pace: Pace) -> Step:
        """Next-token logits of strands, token by token."""
        if pace == "anew":
            return Anew(partial(self._behind, injection, strands), len(strands))
        inputs, _ = plain_inputs(self, injection, strands, left=True)
        return CausalStep(
            self.model,
            self.embed_ids,
            inputs["inputs_embeds"],
            inputs["attention_mask"],
            inputs.get("past_key_values", DynamicCache(config=self.model.config)),
            positions=takes_positions(self.model),
        )

    def _behind(
        self, injection: Injection, strands: Sequence[Strand], written: Sequence[Sequence[int]]
    ) -> Tensor:
        """Next-token logits [B, V] behind strands and what was written after them."""
        longer = [
            replace(strand, branches=[list(ids)])
            for strand, ids in zip(strands, written, strict=True)
        ]
        inputs, starts = plain_inputs(self, injection, longer)
        places = starts + [len(strand.items) - 1 for strand in longer]
        return logits_at(self.model, torch.from_numpy(places), inputs)

    def _batches(self, injection: Injection, strands: Sequence[Strand]) -> list[list[int]]:
        """Strands that can be generated from together.

        Between a prefix in the cache and a text padded on the left there would be a hole, which
        sliding windows cannot stand; there, only texts of one length go together.
        """
        cache = DynamicCache(config=self.model.config)
        hole = injection.key_values is not None and any(cache.is_sliding)
        if not hole and self.pace != "by length":
            return [list(range(len(strands)))]
        groups: dict[tuple[int, int], list[int]] = {}
        for index, strand in enumerate(strands):
            ahead = strand.length if strand.ahead else 0
            groups.setdefault((ahead, len(strand.trunk)), []).append(index)
        return list(groups.values())

    def _check_room(self, strands: Sequence[Strand], more: int = 0) -> None:
        needed = max(max(s.positions, default=s.length - 1) + 1 for s in strands) + more
        if self.positions is not None and needed > self.positions:
            raise InjectionError(
                f"{self.name} has {self.positions} positions, prompt and text need {needed}: "
                "give prepare() the prompt's length"
            )
