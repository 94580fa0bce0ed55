"""From arrays of a file to checked prompts: every refusal becomes one `PromptFormatError`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probe.arrays import Float32Array
from probe.errors import ProbeError, PromptFormatError
from probe.formats.content import Content
from probe.formats.refusal import NOT_GATHERED, refused, shown
from probe.formats.weights import MOST_NUMBERS, brief, shaped_like
from probe.prompt import AnyPrompt, KVPrefix, LeftOut, Method, SoftPrompt, Submodule
from probe.texts import counted

MAX_ROWS = 65_536
"""Longer than any prompt a model could read; a table of word embeddings is no prompt."""
MAX_PROMPTS = 1024
"""More prompts than any one file was seen to hold."""

MAX_NAME = 200
"""Characters of a prompt's name; a file may hold any number of them."""


@dataclass(frozen=True)
class Card:
    """What a reader knows of a prompt beyond its vectors; change it with `dataclasses.replace`."""

    name: str
    reader: str
    """Name of the format, as `probe inspect` prints it."""
    base_model: str | None = None
    revision: str | None = None
    task: str | None = None
    method: Method = "unknown"
    submodule: Submodule | None = None
    trained: bool = True
    init_token_ids: tuple[int, ...] | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    """What was decided on the way, for `Provenance.notes`."""


def soft_prompt(content: Content, rows: NDArray[Any], card: Card) -> SoftPrompt:
    """A checked soft prompt from rows [P, H] of a file.

    Raises:
        PromptFormatError: the rows are not finite float numbers [P, H], or the card contradicts
            them.
    """
    _require_sound(content, card.name, rows)
    if rows.ndim == 2 and rows.shape[1] > MOST_NUMBERS and (weight := shaped_like(rows.shape)):
        raise refused(content, card.name, rows.shape, weight)
    if rows.ndim == 2 and len(rows) > MAX_ROWS:
        raise PromptFormatError(
            f"{content.path}: {shown(card.name)} has {counted(len(rows), 'row')}, a prompt has at "
            f"most {MAX_ROWS}: this looks like a table of word embeddings"
        )
    take(content, card.name, rows.nbytes)
    with _refused(content, card):
        return SoftPrompt(embeddings=rows, **_facts(content, card, SoftPrompt))


def kv_prefix(content: Content, keys: NDArray[Any], values: NDArray[Any], card: Card) -> KVPrefix:
    """A checked prefix from keys and values [L, heads, P, head_dim] of a file.

    Raises:
        PromptFormatError: they are not finite float numbers of one such shape.
    """
    _require_sound(content, card.name, keys)
    _require_sound(content, card.name, values)
    take(content, card.name, keys.nbytes + values.nbytes)
    with _refused(content, card):
        return KVPrefix(keys=keys, values=values, **_facts(content, card, KVPrefix))


def _facts(content: Content, card: Card, kind: type[SoftPrompt | KVPrefix]) -> dict[str, Any]:
    """What a kind of prompt keeps of a card."""
    kept = {one.name for one in fields(kind) if one.init}
    return {name: value for name, value in vars(card).items() if name in kept} | {
        "name": brief(card.name, MAX_NAME),
        "provenance": content.provenance(card.reader, card.notes),
    }


@contextmanager
def _refused(content: Content, card: Card) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise PromptFormatError(f"{content.path}: {shown(card.name)}: {error}") from error


def split_prefix(
    flat: NDArray[Any], *, layers: int, heads: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Keys and values [L, heads, P, head_dim] of a flat prefix [P, 2·L·heads·head_dim].

    The order within a row is that of Li & Liang's code and of every library that follows it:
    layer by layer, first the keys of all heads, then their values.
    """
    folded = flat.reshape(len(flat), layers, 2, heads, -1)
    by_layer = folded.transpose(1, 2, 3, 0, 4)
    return by_layer[:, 0], by_layer[:, 1]


def split_joined(
    flat: NDArray[Any], width: int, heads: int = 1
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Keys and values [L, heads, P, width / heads] of a flat prefix, where no file says L.

    Raises:
        ValueError: the rows do not split into keys and values of that width.
    """
    if flat.ndim != 2 or not flat.size or width < 1 or flat.shape[1] % (2 * width):
        raise ValueError(f"rows {flat.shape} do not split into keys and values of width {width}")
    return split_prefix(flat, layers=flat.shape[1] // (2 * width), heads=heads)


def joined_prefix(keys: NDArray[Any], values: NDArray[Any]) -> Float32Array:
    """The flat prefix [P, 2·L·heads·head_dim] of keys and values: undoes `split_prefix`."""
    both = np.stack([keys, values], axis=1)
    return both.transpose(3, 0, 1, 2, 4).reshape(keys.shape[2], -1).astype(np.float32)


@contextmanager
def fitting(content: Content, what: str) -> Iterator[None]:
    """Around arithmetic on a file's tensors: whatever goes wrong becomes one line about `what`.

    Raises:
        PromptFormatError: a tensor is missing, has another shape or type, or is too large.
    """
    try:
        yield
    except (KeyError, ValueError, IndexError, TypeError, ArithmeticError, ProbeError) as error:
        partly = any(not array.size for array in content.tensors.values())
        raise PromptFormatError(
            f"{content.path}: {what} is incomplete or does not fit together ({error})"
            + (f"; some of its tensors are empty: {NOT_GATHERED}" if partly else "")
        ) from error


def distinct(prompts: Sequence[AnyPrompt]) -> list[AnyPrompt]:
    """The same prompts; a name that comes again gets a number, so `PATH#name` finds each."""
    taken: set[str] = set()
    result: list[AnyPrompt] = []
    for prompt in prompts:
        name, number = prompt.name, 2
        while name in taken:
            name, number = f"{prompt.name}-{number}", number + 1
        taken.add(name)
        result.append(prompt if name == prompt.name else _renamed(prompt, name))
    return result


def _renamed(prompt: AnyPrompt, name: str) -> AnyPrompt:
    source = prompt.provenance
    if source is not None:
        note = f"named {shown(name)}: another prompt here is called {shown(prompt.name)} too"
        source = replace(source, notes=(*source.notes, note))
    return replace(prompt, name=name, provenance=source)


def require_few(content: Content, count: int) -> None:
    """Refuse a file that claims more prompts than files hold.

    Raises:
        PromptFormatError: there are more than `MAX_PROMPTS`.
    """
    if count > MAX_PROMPTS:
        raise PromptFormatError(
            f"{content.path}: expected at most {MAX_PROMPTS} prompts in a file, found {count}"
        )


def text(config: Mapping[str, Any], key: str) -> str | None:
    """A non-empty string of a document, None when it is absent or something else."""
    value = config.get(key)
    return value if isinstance(value, str) and value else None


def without_batch(array: NDArray[Any]) -> NDArray[Any]:
    """Rows [P, H] of a batch of one [1, P, H]; anything else as it is."""
    return array[0] if array.ndim == 3 and len(array) == 1 else array


def take(content: Content, name: str, size: int) -> None:
    """Account for memory, or work, that a file asks for.

    Raises:
        PromptFormatError: it is more than any prompt needs.
    """
    try:
        content.budget.take(size, shown(name))
    except PromptFormatError as error:
        raise PromptFormatError(f"{content.path}: {error}") from error


def _require_sound(content: Content, name: str, array: NDArray[Any]) -> None:
    """Refuse what cannot be a prompt's numbers, with the likely cause."""
    where = f"{content.path}: {shown(name)}"
    if not np.issubdtype(array.dtype, np.floating):
        raise PromptFormatError(f"{where} must hold floating-point numbers, found {array.dtype}")
    if not array.size:
        raise PromptFormatError(
            f"{where} must be non-empty rows [P, H], found {array.shape}: {NOT_GATHERED}"
        )
    if bad := int(array.size - np.isfinite(array).sum()):
        raise PromptFormatError(
            f"{where} must be finite, found {bad} NaN or infinite values of {array.size}: its "
            "training diverged; take an earlier checkpoint, or train again at a lower rate or in "
            "bfloat16 in place of float16"
        )
