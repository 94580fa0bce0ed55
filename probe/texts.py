r"""Texts that UTF-8 can hold: JSON can spell half of a character, `"\ud800"`, a shell any byte."""

from __future__ import annotations

from probe.errors import ProbeError


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
