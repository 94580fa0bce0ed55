"""Encoder–decoder models: the prompt before the encoder's text, labels from the decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import MoEModelOutput

from probe.errors import ModelNotFoundError
from probe.models.generation import (
    Anew,
    DecoderStep,
    Pace,
    Pick,
    Step,
    continuations,
    last_logits,
    pace_of,
)
from probe.models.injection import Batch, Injection, no_prompt
from probe.models.inputs import grouped, padded
from probe.models.language import LanguageModel
from probe.models.prefixes import decoder_prefix_shape, prefilled
from probe.models.rows import Row
from probe.tables.facts import without_start


class EncoderDecoderModel(LanguageModel):
    """An encoder–decoder model.

    Prompts stand before the encoder's text; a decoder prompt stands before the decoder's start
    token; a key/value prefix is read by the decoder's self-attention, as PEFT does.
    """

    family = "encoder_decoder"
    automatic = "AutoModelForSeq2SeqLM"
    labels = "in_decoder"
    writes = True
    two_stacks = True
    peft_task = "SEQ_2_SEQ_LM"

    def traced_stack(self, model: Any) -> Any:
        """The encoder."""
        return model.get_encoder()

    @cached_property
    def kv_shape(self) -> tuple[int, int, int] | None:
        """(layers, heads, head_dim) of a prefix for the decoder's self-attention."""
        return decoder_prefix_shape(self, self._score_one, self.start)

    @property
    def decoder_embed(self) -> nn.Module:
        """The decoder's input embedding, as the model applies it."""
        decoder = self.model.get_decoder()
        found: nn.Module = getattr(decoder, "embed_tokens", None) or decoder.get_input_embeddings()
        return found

    @cached_property
    def start(self) -> int:
        """Id the decoder starts from.

        Raises:
            ModelNotFoundError: the model's files do not say.
        """
        configs = (self.model.generation_config, self.model.config)
        given = [getattr(config, "decoder_start_token_id", None) for config in configs]
        found = next((each for each in given if each is not None), None)
        if found is None:
            raise ModelNotFoundError(without_start(self.name))
        return int(found)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The encoder's states [B, S, H] of rows with their prompts, and the mask [B, S]."""
        prompts, lengths = batch.injection.embeddings, batch.injection.lengths
        items = [
            row.items(0 if prompts is None else lengths[k])
            for row, k in zip(batch.rows, batch.choice, strict=True)
        ]
        self.check_room(max(map(len, items)))
        embeddings, mask = padded(self.embed, prompts, batch.choice, items)
        with self.precision():
            output = self.model.get_encoder()(
                input_ids=None, inputs_embeds=embeddings, attention_mask=mask
            )
        return output.last_hidden_state, mask

    def _token_scores(self, batch: Batch, picks: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        groups = self._groups(batch)
        if len(groups) > 1:
            return self._grouped(batch, picks, groups)
        injection, choice = batch.injection, batch.choice
        states, mask = self.encode(batch)
        starts: dict[tuple[int, tuple[int, ...]], int] = {}  # one decoder row per row and input
        asked: list[tuple[int, int, int, int]] = []  # decoder row, place, target, owner
        most = max(map(len, picks))
        for index, (row, picked) in enumerate(zip(batch.rows, picks, strict=True)):
            ahead = self._ahead(injection, choice[index])
            for number, option in enumerate(row.options[pick] for pick in picked):
                line = starts.setdefault((index, option[:-1]), len(starts))
                asked += [
                    (line, ahead + j, target, index * most + number)
                    for j, target in enumerate(option)
                ]
        of = [index for index, _ in starts]
        items = [[*self._decoder_items(injection, choice[index]), *ids] for index, ids in starts]
        arguments = self.decoder_inputs(injection, [choice[index] for index in of], items)
        rows_of = torch.tensor(of, device=states.device)
        arguments |= {
            "encoder_outputs": MoEModelOutput(states.index_select(0, rows_of)),
            "attention_mask": mask.index_select(0, rows_of),
        }
        return self._scores_at(asked, max(map(len, items)), arguments)

    def _grouped(
        self, batch: Batch, picks: Sequence[Sequence[int]], groups: Sequence[Sequence[int]]
    ) -> tuple[Tensor, Tensor]:
        """Scores of groups of rows, each run by itself."""
        most = max(map(len, picks))
        scores, owners = [], []
        for group in groups:
            picked = [picks[i] for i in group]
            found, places = self._token_scores(batch.part(group), picked)
            own = max(map(len, picked))
            index = torch.tensor(group, device=places.device)
            scores.append(found)
            owners.append(index[places // own] * most + places % own)
        return torch.cat(scores), torch.cat(owners)

    def _continue(self, batch: Batch, max_new_tokens: int, pick: Pick) -> list[list[int]]:
        written: list[list[int]] = [[] for _ in batch.rows]
        for group in self._groups(batch):
            step = self._steps(batch.part(group), anew=self.pace != "together")
            found = continuations(step, self.stops, max_new_tokens, pick)
            for i, ids in zip(group, found, strict=True):
                written[i] = ids
        return written

    @cached_property
    def pace(self) -> Pace:
        """How targets can be continued, found by trying."""
        usual = tuple(range(self.vocabulary_size // 2, self.vocabulary_size))
        both = Batch(no_prompt(), [Row(usual[:5], ()), Row(usual[5:8], ())], [0, 0])

        def tried(*, anew: bool) -> Callable[[list[int]], Step]:
            return lambda which: self._steps(both.part(which), anew=anew)

        with torch.no_grad(), self.precision():
            return pace_of(tried(anew=False), tried(anew=True))

    def _steps(self, batch: Batch, *, anew: bool) -> Step:
        """Next-token logits of the decoder, token by token."""
        injection, choice = batch.injection, batch.choice
        states, mask = self.encode(batch)
        read = {"encoder_outputs": MoEModelOutput(states), "attention_mask": mask}
        items = [self._decoder_items(injection, k) for k in choice]
        if anew:
            return Anew(partial(self._behind, injection, choice, items, read), len(choice))
        arguments = self.decoder_inputs(injection, choice, items) | read | {"use_cache": True}
        if "past_key_values" not in arguments:
            arguments["past_key_values"] = EncoderDecoderCache(DynamicCache(), DynamicCache())
        return DecoderStep(self.model, arguments, arguments.pop("decoder_inputs_embeds"))

    def _behind(
        self,
        injection: Injection,
        choice: Sequence[int],
        items: Sequence[Sequence[int]],
        read: dict[str, Any],
        written: Sequence[Sequence[int]],
    ) -> Tensor:
        """Next-token logits [B, V] behind decoder rows and what was written after them."""
        longer = [[*before, *ids] for before, ids in zip(items, written, strict=True)]
        arguments = self.decoder_inputs(injection, choice, longer) | read
        return last_logits(self.model, len(longer), len(longer[0]), arguments)

    def _groups(self, batch: Batch) -> list[list[int]]:
        """Rows that can run together: decoders count positions by columns."""
        injection = batch.injection

        def place(row: Row, k: int) -> tuple[int, int, int]:
            prefix = injection.lengths[k] if injection.key_values is not None else 0
            read = 0 if self.pads else len(row.prefix_ids) + injection.lengths[k]
            return prefix, self._ahead(injection, k), read

        return grouped(map(place, batch.rows, batch.choice))

    def _decoder_items(self, injection: Injection, prompt: int) -> list[int]:
        return [*range(-1, -1 - self._ahead(injection, prompt), -1), self.start]

    def _ahead(self, injection: Injection, prompt: int) -> int:
        """Prompt rows before the decoder's start token."""
        return injection.decoder_lengths[prompt] if injection.decoder_lengths else 0

    def decoder_inputs(
        self, injection: Injection, choice: Sequence[int], items: Sequence[Sequence[int]]
    ) -> dict[str, Any]:
        """Arguments of the model for decoder rows, prompt rows and prefixes included."""
        embeddings, mask = padded(self.decoder_embed, injection.decoder_embeddings, choice, items)
        arguments: dict[str, Any] = {"decoder_inputs_embeds": embeddings, "use_cache": False}
        if injection.key_values is not None:
            cache, present = prefilled(injection, choice, None)
            arguments["past_key_values"] = EncoderDecoderCache(cache, DynamicCache())
            arguments["decoder_attention_mask"] = torch.cat([present, mask], 1)
            arguments["use_cache"] = True  # the model reads the cache only then
        return arguments
