"""Why a run or a study failed, in one line."""

from __future__ import annotations

from probe.atomic import is_full
from probe.errors import ProbeError, is_out_of_memory


def reason(error: BaseException) -> str:
    """What befell, and what to do about it."""
    if isinstance(error, ProbeError):
        return str(error)
    if is_out_of_memory(error):
        return "out of memory: choose a smaller batch size, a shorter prompt or a smaller model"
    if isinstance(error, OSError):
        if is_full(error):
            return f"disk full at {error.filename}: free space, then go on"
        return f"{error.filename} cannot be used ({error.strerror or error})"
    said = " ".join(str(error).split())[:300]
    return f"unexpected {type(error).__name__}: {said} (see log.txt)"


def is_expected(error: BaseException) -> bool:
    """Whether the reason says all there is to say, without a stack."""
    full = isinstance(error, OSError) and is_full(error)
    return full or isinstance(error, ProbeError) or is_out_of_memory(error)
