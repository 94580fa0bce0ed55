"""Errors of `probe`: each is one clear line saying what was expected, found, and what to do."""

import errno
import re
from collections.abc import Collection

_LONGEST = 2000
"""Characters of a message; paths and lists of names fit."""
_PASSWORD = re.compile(r"://[^/\s@]{1,300}@")
"""Who asks, in an address such as that of HF_ENDPOINT; libraries repeat it in what they say."""


class ProbeError(Exception):
    """Base of every error a user is meant to read. The message is always a single line."""

    def __init__(self, message: str) -> None:
        super().__init__(without_middle(_PASSWORD.sub("://", " ".join(message.split()))))


def without_middle(line: str) -> str:
    """A line without the middle of a value that someone made very long."""
    if len(line) <= _LONGEST:
        return line
    return f"{line[: _LONGEST // 2]} … ({len(line):,} characters) … {line[-_LONGEST // 4 :]}"


class PromptFormatError(ProbeError):
    """A prompt file cannot be read: unknown layout, damaged, oversized or unsafe."""


class NotDecodableError(ProbeError):
    """The prompt does not live in the vocabulary's embedding space, or its width differs."""


class NotComparableError(ProbeError):
    """A measure is not defined between two prompts; the message names them and the reason."""


class ModelNotFoundError(ProbeError):
    """A base model, its embedding table or its tokenizer is not where it was looked for."""


class WorkspaceError(ProbeError):
    """The workspace holds no such prompt or run, or cannot be written."""


class DataError(ProbeError):
    """A task or a data file cannot be read; the message names the line and what was expected."""


class TrainingError(ProbeError):
    """A training run cannot start, go on or be resumed as it was asked to."""


class MissingExtraError(ProbeError):
    """An optional library is not installed; the message names the extra that brings it."""

    def __init__(self, library: str, extra: str, *, or_else: str = "") -> None:
        super().__init__(
            f"{library} is not installed: run `pip install 'soft-prompt-probe[{extra}]'`"
            + (f", or {or_else}" if or_else else "")
        )


def require_choice(name: str, found: object, choices: Collection[str]) -> None:
    """Refuse a value that is none of those there are.

    Raises:
        ValueError: it is none.
    """
    if found not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, found {found!r}")


def is_panic(error: BaseException) -> bool:
    """Whether a library written in Rust gave up; its error is no `Exception`."""
    return type(error).__name__ == "PanicException"


def is_failure(error: BaseException) -> bool:
    """Whether something went wrong, as against a wish to end; a panic is no `Exception`."""
    return isinstance(error, Exception) or is_panic(error)


NO_MEMORY = re.compile(
    r"can(no|')t allocate memory|not enough memory|out of memory|bad_alloc|unable to mmap|"
    r"failed to map segment",
    re.IGNORECASE,
)
"""How libraries say it that have no error of its own for it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine, or what a process may have of it, was too small."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    told = isinstance(error, RuntimeError | ImportError | OSError)
    return told and bool(NO_MEMORY.search(str(error)))


def is_full(error: OSError) -> bool:
    """Whether it says that a disk, or what a user may have of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def words_of(error: BaseException) -> str:
    """What an error of others says, in one short line; its kind where it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def in_one_line(error: BaseException, *, memory: str, more: str) -> str:
    """What went wrong, and what to do about it.

    Args:
        error: of whatever kind.
        memory: what to do where memory was too small.
        more: where more is said of what nobody expected.
    """
    if isinstance(error, ProbeError):
        return str(error)
    if is_out_of_memory(error):
        return f"out of memory: {memory}"
    if isinstance(error, OSError):
        if is_full(error):
            return f"disk full at {error.filename or 'the place to write to'}: free space"
        return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return f"unexpected {type(error).__name__}: {words_of(error)} ({more})"
