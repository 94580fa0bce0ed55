r"""Texts that can be stored and shown, numbers in words, and what a mistyped name may have meant.

JSON can spell half of a character, `"\ud800"`, a shell any byte, and a name what no reader sees.
"""

from __future__ import annotations

import dataclasses
import math
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from probe.errors import ProbeError

_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})
_UNSEEN = _BREAKING | {"Cf", "Co"}
"""Unicode categories that leave no mark, move the cursor or reorder what stands around them."""


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can hold a text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_unicode(text: str) -> str:
    """The text itself; what tokenizers say of one that is none helps nobody.

    Raises:
        ProbeError: it holds half of a character.
    """
    if not is_unicode(text):
        raise ProbeError(
            f"expected text that UTF-8 can hold, found half of a character in {text!r}"
        )
    return text


INIT_NAMES = {
    "vocab": "sampled tokens",
    "labels": "label words",
    "text": "a text",
    "target": "the target text",
    "random": "noise",
    "prompt": "another prompt",
}
"""Where training starts, in words."""


def init_words(init: str) -> str:
    """A start as people read it: `vocab` as sampled tokens, `text:WORDS` as its words."""
    kind, _, words = init.partition(":")
    return f"“{words}”" if kind == "text" and words else INIT_NAMES.get(kind, init)


def counted(number: int, what: str, several: str = "") -> str:
    """A number of things in words, `1 prompt` or `1,200 prompts`.

    Args:
        number: how many.
        what: one of them.
        several: more of them, where an `s` does not make it several.
    """
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"


def is_one_line(text: str) -> bool:
    """Whether a text has no control characters, no line ends and no halves of characters."""
    return not any(unicodedata.category(character) in _BREAKING for character in text)


def visible(text: str) -> str:
    r"""Text with every control, reordering or unseen character escaped, as `\x1b` or `\u202e`."""
    if text.isprintable():
        return text
    return "".join(_spelled(c) if unicodedata.category(c) in _UNSEEN else c for c in text)


def code_point(character: str) -> str:
    r"""A character by its number, `\u202e` or `\U000e0001`."""
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def as_json(value: object) -> Any:
    """A value that JSON can hold and a reader gives back as it is.

    Arrays and numbers of numpy become lists and numbers, dataclasses their `to_json` or their
    fields, NaN and infinity None, half of a character `?`, and whatever else JSON lacks its text.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {as_json(str(key)): as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    if dataclasses.is_dataclass(value):
        own = getattr(value, "to_json", None)
        fields = dataclasses.fields(value)
        return own() if own else {one.name: as_json(getattr(value, one.name)) for one in fields}
    return str(value).encode("utf-8", "replace").decode()


def _spelled(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 0x100 else code_point(character)


_MOST = 3


def closest(name: str, known: Iterable[str]) -> list[str]:
    """The known names most like this one, in any letter case, the likeliest first; at most three.

    Args:
        name: as it was typed.
        known: what it can be.
    """
    by_fold: dict[str, str] = {}
    for one in known:
        by_fold.setdefault(one.casefold(), one)
    typed = name.casefold()
    begun = [fold for fold in by_fold if len(typed) > 1 and fold.startswith(typed)]
    begun += [fold for fold in by_fold if len(typed) > 3 and typed in fold]
    from difflib import get_close_matches

    near = get_close_matches(typed, by_fold, n=_MOST)
    return [by_fold[fold] for fold in dict.fromkeys([*near, *begun])][:_MOST]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message, `; did you mean a or b?`; empty where no known name is like this."""
    near = closest(name, known)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def duration(seconds: float) -> str:
    """Words for a time span."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def duration_range(least: float, most: float) -> str:
    """Words for a time span that may be as short as one and as long as another, in seconds."""
    ends = dict.fromkeys((duration(least), duration(most)))
    return " to ".join(ends)
