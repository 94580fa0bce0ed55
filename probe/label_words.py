"""Whether a task's label words can be told apart by their tokens, and how many each takes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from probe.notes import note
from probe.task import Task
from probe.template import RowError

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
