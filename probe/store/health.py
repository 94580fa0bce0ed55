"""What is wrong with a workspace: every stored file, and the index beside the folders it is of."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from probe.digests import changed_files
from probe.errors import ProbeError
from probe.store.folders import PromptFolders
from probe.store.index import Index
from probe.store.jobs import JobFolder


def job_problems(jobs: Iterable[JobFolder]) -> list[str]:
    """A line for each run or study that cannot be read, and for each damaged checkpoint."""
    found = []
    for job in jobs:
        try:
            _ = job.config, job.status
        except ProbeError as error:
            found.append(str(error))
        for checkpoint in sorted(job.path.glob("checkpoints/step-*")):
            found += [
                f"{checkpoint / name} is not what was written: resume the run, which writes it "
                "anew, or delete the run"
                for name in changed_files(checkpoint)
            ]
    return found


def is_open_to_others(root: Path) -> bool:
    """Whether other users of this machine may look into a workspace, as older versions left it."""
    return os.name == "posix" and root.is_dir() and bool(stat.S_IMODE(root.stat().st_mode) & 0o077)


def problems(prompts: PromptFolders, index: Index | None) -> list[str]:
    """A line for each thing that is wrong; empty when all is well.

    Args:
        prompts: every file of theirs is read.
        index: brought up to the folders just now; None where it cannot be used.
    """
    found = [
        complaint
        for id_ in sorted(prompts.ids())
        for read in (prompts.card, prompts.load, prompts.history)
        if (complaint := _complaint(read, id_))
    ]
    return found if index is None else [*found, *_of_index(prompts, index)]


def _complaint(read: Callable[[str], object], id_: str) -> str | None:
    try:
        read(id_)
    except ProbeError as error:
        return str(error)
    return None


def _of_index(prompts: PromptFolders, index: Index) -> Iterator[str]:
    """Whether the index is whole and says what the files say.

    A file that differs although neither its time nor its size do was damaged by the disk, or
    the index was.
    """
    try:
        verdict, entries = index.check(), index.entries()
    except ProbeError as error:
        yield str(error)
        return
    if verdict != "ok":
        yield f"{index.path}: {verdict}: run `probe doctor --rebuild`"
    for card, history in entries:
        if prompts.card_or_none(card.id) not in (card, None):
            yield _differs(prompts, card.id, "card")
        elif prompts.history_or_none(card.id) != history:
            yield _differs(prompts, card.id, "history")


def _differs(prompts: PromptFolders, id_: str, what: str) -> str:
    return (
        f"the {what} in {prompts.root / id_} is not what the index holds, though nobody wrote it: "
        "look at it, then run `probe doctor --rebuild` to take it as it is"
    )
