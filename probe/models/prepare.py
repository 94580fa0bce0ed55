"""Examples → rows, by the model's own tokenizer and the task's template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from probe.models.frozen import FrozenModel
from probe.models.rows import (
    Objective,
    Row,
    Slot,
    cut_values,
    encode_batch,
    end_ids,
    note_cuts,
    shared_start,
    special_ids,
)
from probe.task import Example, Task
from probe.template import (
    Half,
    RowError,
    Template,
    classes_of,
    every_word,
    note_lengths,
    note_unknown,
    read_template,
    require_different,
    require_room,
    require_slots_in_front,
)
from probe.texts import counted, require_unicode


def prepare(
    model: FrozenModel,
    task: Task,
    examples: Sequence[Example],
    *,
    objective: Objective = "full",
    prompt_length: int = 0,
    new_tokens: int = 0,
    called: str = "texts",
) -> list[Row]:
    """What a model reads for each example, texts cut so that the prompt and every label still fit.

    What is cut is noted, and so are label words that differ in their number of tokens.

    Args:
        model: a frozen model; its kind decides what goes where.
        task: the template, with optional `{label}` and `{prompt:n}` slots, and the label words.
        examples: texts with or without labels.
        objective: what the loss is over.
        prompt_length: positions kept free for a prompt; 0 where none will stand there.
        new_tokens: positions kept free for what is written behind the text.
        called: what the examples are called in notes.

    Raises:
        RowError: a label has no tokens or begins another, the template leaves nothing to predict
            from, names a column that an example lacks, has prompt rows where the model reads
            nothing, or does not fit the model without text.
    """
    template = read_template(task)
    if model.labels == "in_text" and model.writes:
        require_slots_in_front(task, template)
    writer = _Writer(model, task, template, objective, prompted=prompt_length > 0)
    rows = writer.rows(examples)
    writer.note_words(rows)
    if (limit := model.positions) is None:
        return rows
    length = max(prompt_length, template.slots)
    require_room(length, limit, new_tokens)
    limit -= length + new_tokens
    rows = [
        row if writer.length(row) <= limit else _shorten(writer, example, row, limit)
        for row, example in zip(rows, examples, strict=True)
    ]
    note_cuts(rows, called, limit)
    return rows


def _shorten(writer: _Writer, example: Example, row: Row, limit: int) -> Row:
    whole, values = (
        len(row.prefix_ids),
        {name: example.values[name] for name in writer.task.columns},
    )
    while (excess := writer.length(row) - limit) > 0:
        if not any(values.values()):
            raise RowError(
                f"the template and its longest label need {counted(excess, 'position')} more than "
                f"the {limit} the model has left for them: shorten the template or the prompt"
            )
        ends = {name: writer.ends(value) for name, value in values.items()}
        values = cut_values(values, ends, excess)
        row = writer.rows([replace(example, columns=values)])[0]
    return replace(row, cut=max(1, whole - len(row.prefix_ids)))


@dataclass(frozen=True)
class _Pieces:
    """One example, tokenised: pieces of the template between prompt slots, and answers."""

    before: list[list[int]]
    after: list[list[int]]
    answers: list[list[int]]
    """With the last piece of `before` in front for models that predict inside the text."""


class _Writer:
    """Writes the rows of one task for one model."""

    def __init__(
        self,
        model: FrozenModel,
        task: Task,
        template: Template,
        objective: Objective,
        *,
        prompted: bool,
    ) -> None:
        self.labels, self.writes = model.labels, model.writes
        self.tokenizer = model.tokenizer
        self.task = task
        self.template = template
        self.objective = objective
        self.prefix, self.suffix = special_ids(model.tokenizer)
        self.paper = objective == "paper" and model.writes
        self.headless = self.paper and self.labels == "in_text" and prompted
        ends = self.paper or task.kind == "generation"
        self.end = end_ids(model.tokenizer) if ends else []
        self.classes = classes_of(task) if task.kind == "classification" else ()
        self._different: set[tuple[tuple[int, ...], ...]] = set()

    def rows(self, examples: Sequence[Example]) -> list[Row]:
        """One row per example, uncut.

        Raises:
            RowError: a label has no tokens, or nothing stands before it.
        """
        texts = [self._texts(example) for example in examples]
        encoded = encode_batch(self.tokenizer, [text for group in texts for text in group])
        rows, start = [], 0
        for example, group in zip(examples, texts, strict=True):
            ids, start = encoded[start : start + len(group)], start + len(group)
            rows.append(self._checked(self._row(example, self._pieces(ids))))
        return rows

    def note_words(self, rows: Sequence[Row]) -> None:
        """Say which label words the model lacks, and that they differ in tokens.

        A sentence encoder compares whole labels, whatever their number of tokens.
        """
        if self.task.kind == "classification":
            for row in rows[:1]:
                note_unknown(self.task, row.options, self.tokenizer.unk_token_id)
                if self.labels != "own_text":
                    note_lengths(self.task, row.options)

    def length(self, row: Row) -> int:
        """Positions a row takes, with its longest label."""
        if self.labels != "in_text":
            return max(map(len, [row.prefix_ids, *row.options]))
        return len(row)

    def ends(self, text: str) -> list[int]:
        """Characters up to the end of each token of a text, [T]."""
        encoded = self.tokenizer(
            require_unicode(text),
            add_special_tokens=False,
            return_offsets_mapping=True,
            verbose=False,
        )
        return [end for _, end in encoded["offset_mapping"]]

    def _texts(self, example: Example) -> list[str]:
        before = self.template.before.fill(example.values)
        after = self.template.after.fill(example.values)
        answers = every_word(self.task)
        if self.task.kind == "generation":
            answers = [] if example.target is None else [example.target]
        stem, tail = "", ""
        if self.labels == "in_text":
            stem = before[-1] + self.template.separator
            tail = after[0] if self.paper else ""
        return [*before, *after, *(stem + answer + tail for answer in answers)]

    def _pieces(self, ids: list[list[int]]) -> _Pieces:
        first = len(self.template.before.pieces)
        second = first + len(self.template.after.pieces)
        return _Pieces(ids[:first], ids[first:second], ids[second:])

    def _row(self, example: Example, pieces: _Pieces) -> Row:
        if self.labels == "in_text":
            before, options = self._inside(pieces)
        else:
            before, options = pieces.before, [[*ids, *self.end] for ids in pieces.answers]
        if self.labels == "own_text":
            options = [[*self.prefix, *ids, *self.suffix] for ids in pieces.answers]
        head = [] if self.headless else self.prefix
        lead, slots = _join(before, self.template.before, len(head))
        behind, more = _join(pieces.after, self.template.after, len(head) + len(lead) + 1)
        behind += self.suffix
        if self.labels != "in_text":
            lead, behind = lead + behind, []
            more = [Slot(slot.index - 1, slot.count) for slot in more]
        label = example.label if self.task.kind == "classification" else 0 if options else None
        return Row(
            prefix_ids=(*head, *lead),
            options=tuple(map(tuple, options)),
            label=label,
            suffix_ids=() if self.writes else tuple(behind),
            slots=tuple(slots + more) or self._default_slots(),
            objective=self.objective,
            classes=self.classes,
        )

    def _inside(self, pieces: _Pieces) -> tuple[list[list[int]], list[list[int]]]:
        """The answers as continuations of the text: where their tokens part from it.

        A label word may merge with the text in front of it, so both are tokenised together.
        """
        stem = pieces.before[-1]
        answers = [[*ids, *self.end] for ids in pieces.answers]
        if not answers:
            return pieces.before, []
        start = shared_start(answers if self.paper else [stem, *answers])
        return [*pieces.before[:-1], answers[0][:start]], [ids[start:] for ids in answers]

    def _default_slots(self) -> tuple[Slot, ...]:
        behind_first = not self.writes and self.prefix
        return (Slot(1 if behind_first else 0),)

    def _checked(self, row: Row) -> Row:
        if not all(row.options):
            raise RowError(
                f"task {self.task.name}: every label needs a token of its own, found "
                f"{self.task.label_words or 'an empty target'}: change the label words"
            )
        if row.options and not row.prefix_ids:
            raise RowError(
                f"task {self.task.name}: nothing stands before the label to predict it from: "
                "put text in the template"
            )
        if self.task.kind == "classification" and row.options not in self._different:
            whole = self.paper or not self.writes
            require_different(self.task, row.options, whole=whole)
            self._different.add(row.options)
        return row


def _join(pieces: list[list[int]], half: Half, start: int) -> tuple[list[int], list[Slot]]:
    """Ids of the pieces one after another, and where the slots between them are."""
    ids: list[int] = []
    slots: list[Slot] = []
    for piece, count in zip(pieces, (*half.slots, 0), strict=True):
        ids += piece
        if count:
            slots.append(Slot(start + len(ids), count))
    return ids, slots
