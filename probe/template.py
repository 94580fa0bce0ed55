"""How a task's template becomes pieces of text around the label and the prompt."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from probe.errors import ProbeError, TrainingError
from probe.notes import note
from probe.task import LABEL_SLOT, Task, columns_of, fill_columns

_PROMPT_SLOT = re.compile(r"\{prompt:([0-9]{1,9})\}")


class RowError(ProbeError):
    """An example, a template or a label cannot become the tokens a model reads."""


@dataclass(frozen=True)
class Half:
    """The template on one side of the label: pieces of text with prompt slots between them."""

    pieces: tuple[str, ...]
    """Texts that are tokenised apart from each other; one more than there are slots."""
    slots: tuple[int, ...]
    """Prompt rows that stand between neighbouring pieces."""

    def fill(self, values: Mapping[str, str]) -> list[str]:
        """The pieces with an example's text, or the columns of its row, in them.

        Raises:
            RowError: the example lacks a column that the template names.
        """
        try:
            return [fill_columns(piece, values) for piece in self.pieces]
        except KeyError as error:
            raise RowError(
                f"the template names {{{error.args[0]}}}, the data has "
                f"{', '.join(map(repr, values))}: give rows with that column, or another template"
            ) from error


@dataclass(frozen=True)
class Template:
    """A task's template, cut at the label."""

    before: Half
    separator: str
    """What stands between `before` and the label: a space or nothing."""
    after: Half

    @property
    def slots(self) -> int:
        """Prompt rows the template asks for; 0 puts the prompt in front of everything."""
        return sum(self.before.slots) + sum(self.after.slots)


def read_template(task: Task) -> Template:
    """Cut a task's template at its `{label}` and `{prompt:n}` slots.

    Without `{label}` the label follows the template after one space.

    Raises:
        RowError: the template has two labels or an empty prompt slot.
    """
    parts = task.template.split(LABEL_SLOT)
    if len(parts) > 2:
        raise RowError(
            f"task {task.name}: the template takes {LABEL_SLOT} at most once, found "
            f"{task.template!r}"
        )
    head = parts[0].rstrip(" ")
    joined = len(parts) == 2 and head == parts[0]  # `Answer:{label}` asks for no space
    separator = "" if joined or head[-1:].isspace() or not head else " "
    return Template(_half(task, head), separator, _half(task, "".join(parts[1:])))


def slot_sizes(template: str) -> tuple[int, ...]:
    """Virtual tokens of each slot of `{prompt:3}{text} It was{prompt:2}`, in order.

    Raises:
        TrainingError: there is no slot, or an empty one.
    """
    sizes = tuple(int(size) for size in _PROMPT_SLOT.findall(template))
    if not sizes or 0 in sizes:
        raise TrainingError(
            "a template says where the virtual tokens stand, as {prompt:3}, "
            f"found none in {template!r}"
        )
    return sizes


def keep_slots(template: str, kept: Collection[int]) -> str:
    """The template with places for some of its prompt rows; a slot that keeps none goes.

    Args:
        template: with or without slots.
        kept: numbers of rows, counted from 0 through all slots.
    """
    first = 0

    def smaller(slot: re.Match[str]) -> str:
        nonlocal first
        rows = range(first, first + int(slot[1]))
        first = rows.stop
        count = len(set(rows) & set(kept))
        return f"{{prompt:{count}}}" if count else ""

    return _PROMPT_SLOT.sub(smaller, template)


def first_slot(text: str) -> str | None:
    """The first place in a text that a template would fill; None where it has none."""
    slots = [f"{{{name}}}" for name in columns_of(text)]
    slots += [LABEL_SLOT] * (LABEL_SLOT in text)
    slots += [found[0] for found in _PROMPT_SLOT.finditer(text)]
    return slots[0] if slots else None


def without_slots(template: str) -> str:
    """A template as it is read without a prompt."""
    return _PROMPT_SLOT.sub("", template)


def require_slots_in_front(task: Task, template: Template) -> None:
    """Refuse prompt rows behind the label, where a causal model reads nothing.

    Raises:
        RowError: there are some.
    """
    if template.after.slots:
        raise RowError(
            f"task {task.name}: a causal model reads nothing behind {LABEL_SLOT}, found prompt "
            f"rows there in {task.template!r}: put them in front of it"
        )


def require_room(length: int, positions: int, new_tokens: int = 0) -> None:
    """Refuse a prompt, or a wish for new tokens, that leaves no position for text.

    Args:
        length: virtual tokens, P.
        positions: most that the model can read.
        new_tokens: how many are to be written.

    Raises:
        RowError: they take all of them.
    """
    if length < positions <= length + new_tokens:
        raise RowError(
            f"expected fewer than {positions - length:,} new tokens, found {new_tokens:,}: the "
            f"model reads at most {positions:,} positions, and prompt and text need some of them"
        )
    if length >= positions:
        raise RowError(
            f"expected a prompt of fewer than {positions:,} virtual tokens, found {length:,}: the "
            f"model reads at most {positions:,} positions, and the text needs some of them"
        )


def _half(task: Task, text: str) -> Half:
    pieces = _PROMPT_SLOT.split(text)
    slots = tuple(int(count) for count in pieces[1::2])
    if 0 in slots:
        raise RowError(f"task {task.name}: a prompt slot holds 1 or more rows, found {{prompt:0}}")
    return Half(tuple(pieces[::2]), slots)


Options = Sequence[tuple[int, ...]]
"""Token ids of every word."""


def require_different(task: Task, options: Options, *, whole: bool) -> None:
    """Refuse label words of which one can never win.

    A model that reads from left to right finds a text no less likely than the same text and more.

    Args:
        task: its words, those that name labels first.
        options: tokens of each, as they follow the template.
        whole: whether words are compared as wholes, by a model that asks for all of their tokens at
            once or with an end that is scored too; then one may begin another.

    Raises:
        RowError: two words are the same tokens, or one begins another.
    """
    words = every_word(task)
    ordered = sorted(zip(options, words, strict=True))
    for (ids, word), (longer, other) in pairwise(ordered):
        if ids == longer:
            raise RowError(
                f"task {task.name}: the label words {word!r} and {other!r} are the same tokens to "
                "this model: change one"
            )
        if not whole and longer[: len(ids)] == ids:
            raise RowError(
                f"task {task.name}: the label word {word!r} begins {other!r}, which can therefore "
                "never be the likelier one: change one"
            )


def note_unknown(task: Task, options: Options, unknown: int | None) -> None:
    """Say of which label words a model sees nothing but that it does not know them.

    Args:
        task: its words.
        options: tokens of each.
        unknown: id that stands for what the vocabulary lacks; None where every text has tokens.
    """
    lost = [
        repr(word)
        for word, ids in zip(every_word(task), options, strict=True)
        if unknown is not None and unknown in ids
    ]
    if lost:
        note(
            f"task {task.name}: the vocabulary of the model lacks the label "
            f"{'words' if len(lost) > 1 else 'word'} {' and '.join(lost)}, so what is scored is "
            "its token for whatever it lacks: choose words that it has"
        )


def note_lengths(task: Task, options: Options) -> None:
    """Say that label words differ in their number of tokens, where they do."""
    counts = dict(zip(every_word(task), map(len, options), strict=True))
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{word} {count}" for word, count in counts.items())
        note(
            f"task {task.name}: the label words differ in tokens ({each}), and a word of more "
            "tokens has a lower probability: words of equally many compare fairly"
        )


def may_begin_another(task: Task) -> bool:
    """Whether a label word begins another as it is written; only then may it as tokens."""
    words = every_word(task)
    return any(one != other and other.startswith(one) for one in words for other in words)


def every_word(task: Task) -> list[str]:
    """All label words as rows hold them: those that name labels, then their synonyms."""
    return [*task.label_words, *(word for more in task.synonyms for word in more)]


def classes_of(task: Task) -> tuple[int, ...]:
    """The label of each of `every_word`; empty where each label has one."""
    if not task.synonyms:
        return ()
    further = [label for label, more in enumerate(task.synonyms) for _ in more]
    return (*range(len(task.label_words)), *further)
