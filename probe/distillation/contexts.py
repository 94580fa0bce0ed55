"""Contexts a text acts on: short questions, from the shipped list or from a file."""

from __future__ import annotations

from pathlib import Path

from probe.errors import DataError

_SHIPPED = Path(__file__).parent / "questions.txt"


def default_contexts() -> list[str]:
    """The questions that come with `probe`, of everyday topics, in a fixed order."""
    return read_contexts(_SHIPPED)


def read_contexts(path: Path) -> list[str]:
    """The lines of a text file that are not empty.

    Raises:
        DataError: the file cannot be read, or holds fewer than three different lines.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: expected a text file with a context per line ({error})"
        ) from error
    contexts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if len(contexts) < 3:
        raise DataError(
            f"{path}: expected three or more different contexts, one per line, found "
            f"{len(contexts)}"
        )
    return contexts
