"""How a task's template becomes pieces of text around the label and the prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from probe.errors import ProbeError, TrainingError
from probe.task import LABEL_SLOT, Task, fill_columns

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


def without_slots(template: str) -> str:
    """A template as it is read without a prompt."""
    return _PROMPT_SLOT.sub("", template)


def require_room(length: int, positions: int) -> None:
    """Refuse a prompt that leaves no position for text.

    Args:
        length: virtual tokens, P.
        positions: most that the model can read.

    Raises:
        RowError: the prompt takes all of them.
    """
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
