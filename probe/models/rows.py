"""What one example becomes: token ids before and after a label, ids of every label, what is cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from probe.notes import note
from probe.template import RowError
from probe.texts import counted, require_unicode

LabelPlace = Literal["in_text", "in_decoder", "own_text"]
"""Where the tokens of a label stand: in the text's own sequence, in a decoder, or in a text of
their own that is compared with it."""

Objective = Literal["full", "label_words", "paper", "distill"]
"""`full`: mean cross-entropy in nats per label token over the whole vocabulary; of a label with
several words, −log of the sum of their probabilities. `label_words`: over the task's own labels, by
their summed log-likelihoods. `paper`: as `full`, from the first token in
which labels differ through the template's tail and the end token, a prompt in place of BOS.
`distill`: mean divergence in nats per target token from the model with a text in the prompt's
place."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """What a teacher expects at each of T target tokens."""

    probabilities: Tensor
    """[T, V] float16."""
    entropy_nats: Tensor
    """[T] float32."""


@dataclass(frozen=True)
class Slot:
    """A place of prompt rows inside a row."""

    index: int
    """Ids of `prefix_ids` in front of it; past these, the label counts as one more."""
    count: int | None = None
    """Prompt rows it takes, in order; None takes the whole prompt, whatever its length."""


@dataclass(frozen=True)
class Row:
    """One example as a model reads it, truncated to the model's positions."""

    prefix_ids: tuple[int, ...]
    """Ids in front of the label, special tokens included."""
    options: tuple[tuple[int, ...], ...]
    """Ids of every label word, or of the one target of a generation task."""
    label: int | None = None
    """Index of the right option; None when it is not known."""
    suffix_ids: tuple[int, ...] = ()
    """Ids behind the label, special tokens included (masked models only)."""
    slots: tuple[Slot, ...] = (Slot(0),)
    objective: Objective = "full"
    classes: tuple[int, ...] = ()
    """Label of each option, where labels have several words; empty where each has one. The first
    options are the words that name the labels, in their order."""
    cut: int = 0
    """Tokens of the text that were left out since they did not fit."""
    teacher: Teacher | None = field(default=None, repr=False, compare=False)
    """Of the right option (`distill` only)."""

    def __len__(self) -> int:
        """Ids of the row with its longest label, without prompt."""
        return len(self.prefix_ids) + max(map(len, self.options), default=0) + len(self.suffix_ids)

    @property
    def prompt_first(self) -> bool:
        """Whether the whole prompt stands in front of everything."""
        return self.slots == (Slot(0),)

    @property
    def asked(self) -> int | None:
        """Prompt rows the slots ask for; None where any length will do."""
        counts = [slot.count for slot in self.slots]
        return None if None in counts else sum(count or 0 for count in counts)

    @property
    def words(self) -> list[list[int]]:
        """The options of every label."""
        if not self.classes:
            return [[option] for option in range(len(self.options))]
        return [
            [option for option, own in enumerate(self.classes) if own == label]
            for label in range(max(self.classes) + 1)
        ]

    def label_start(self, length: int) -> int:
        """Items in front of the label when a prompt of this length is in the row."""
        if not length:
            return len(self.prefix_ids)
        counts = (slot.count for slot in self.slots if slot.index <= len(self.prefix_ids))
        return len(self.prefix_ids) + sum(length if count is None else count for count in counts)

    def items(self, length: int, label: Sequence[int] = ()) -> list[int]:
        """The row with a prompt and a label in it.

        Args:
            length: prompt rows, P; 0 leaves the slots empty.
            label: ids that stand for the label.

        Returns:
            Ids, and -1 - j for row j of the prompt.

        Raises:
            RowError: the slots ask for another number of prompt rows.
        """
        if length and self.asked not in (None, length):
            raise RowError(
                f"the template asks for {counted(self.asked, 'prompt row')}, the prompt has "
                f"{length}: "
                "change the {prompt:n} slots or the prompt's length"
            )
        parts: list[Sequence[int]] = [[i] for i in self.prefix_ids]
        parts += [label, *([i] for i in self.suffix_ids)]
        items: list[int] = []
        start, used = 0, 0
        for slot in self.slots if length else ():
            items += [i for part in parts[start : slot.index] for i in part]
            count = length if slot.count is None else slot.count
            items += range(-1 - used, -1 - used - count, -1)
            start, used = slot.index, used + count
        return items + [i for part in parts[start:] for i in part]


def right_option(row: Row) -> int:
    """Index of a row's right label.

    Raises:
        RowError: the row has none, so it has no loss.
    """
    if row.label is None:
        raise RowError("a loss needs the right label or a target, found an example without")
    return row.label


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


def encode_batch(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of texts, without special tokens.

    Raises:
        ProbeError: a text holds half of a character.
    """
    if not texts:
        return []
    encoded = tokenizer(
        [require_unicode(text) for text in texts], add_special_tokens=False, verbose=False
    )
    return [list(ids) for ids in encoded["input_ids"]]


def special_ids(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Special ids the model reads in front of a text and behind it."""
    texts = "aA1"  # some tokenizers, such as those of proteins, have no tokens for small letters
    known = ((text, tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
    text, bare = next((found for found in known if found[1]), ("", []))
    full = tokenizer(text, verbose=False)["input_ids"]
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return list(full[:start]), list(full[start + len(bare) :])
    return [], []


def end_ids(tokenizer: Any) -> list[int]:
    """The token that ends a text, where the tokenizer has one."""
    return [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]


def shared_start(sequences: Sequence[Sequence[int]]) -> int:
    """Number of ids that all sequences begin with."""
    shortest = min(map(len, sequences))
    same = (len({ids[i] for ids in sequences}) == 1 for i in range(shortest))
    return next((i for i, equal in enumerate(same) if not equal), shortest)


def cut_values(
    values: Mapping[str, str], ends: Mapping[str, Sequence[int]], excess: int
) -> dict[str, str]:
    """Values without their last tokens, so many in all or a few more; the longest is cut first.

    Args:
        values: texts by column.
        ends: of each, the characters up to the end of every token, [T].
        excess: tokens to lose, 1 or more.
    """
    kept = max(map(len, ends.values()))
    while kept and sum(max(0, len(own) - kept) for own in ends.values()) < excess:
        kept -= 1
    return {name: _cut(value, ends[name], kept) for name, value in values.items()}


def note_cuts(rows: Sequence[Row], what: str, room: int) -> None:
    """Say how many texts were cut, and by how much.

    Args:
        rows: of all texts.
        what: they are called.
        room: positions the model has beside the prompt.
    """
    lost = sorted(row.cut for row in rows if row.cut)
    if not lost:
        return
    much = f"{lost[0]:,} to {lost[-1]:,} tokens each"
    if lost[0] == lost[-1]:
        much = counted(lost[0], "token") + " each" * (len(lost) > 1)
    do, ends = ("does", "its end is") if len(lost) == 1 else ("do", "their ends are")
    note(
        f"{len(lost):,} of {counted(len(rows), what.removesuffix('s'))} {do} not fit the "
        f"{counted(room, 'position')} beside the prompt: {ends} cut, {much}"
    )


def _cut(value: str, ends: Sequence[int], kept: int) -> str:
    if len(ends) <= kept:
        return value
    # A character of several byte tokens may end where the whole text does: always lose one.
    return value[: min(ends[kept - 1], len(value) - 1)] if kept else ""
