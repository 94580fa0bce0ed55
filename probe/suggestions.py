"""What somebody who mistyped a name may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

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
    near = get_close_matches(typed, by_fold, n=_MOST)
    return [by_fold[fold] for fold in dict.fromkeys([*near, *begun])][:_MOST]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message, `; did you mean a or b?`; empty where no known name is like this."""
    near = closest(name, known)
    return f"; did you mean {' or '.join(near)}?" if near else ""
