"""What is wrong with a workspace: every stored file, and the index beside the folders it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from probe.errors import ProbeError
from probe.store.folders import PromptFolders
from probe.store.index import Index


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
    if (verdict := index.check()) != "ok":
        yield f"{index.path}: {verdict}: run `probe doctor --rebuild`"
        return
    recorded = index.history()  # oldest first, whichever was written first
    for card in index.cards():
        if prompts.card_or_none(card.id) not in (card, None):
            yield _differs(prompts, card.id, "card")
            continue
        kept = sorted(prompts.history_or_none(card.id), key=lambda record: record.recorded)
        if kept != [record for id_, record in recorded if id_ == card.id]:
            yield _differs(prompts, card.id, "history")


def _differs(prompts: PromptFolders, id_: str, what: str) -> str:
    return (
        f"the {what} in {prompts.root / id_} is not what the index holds, though nobody wrote it: "
        "look at it, then run `probe doctor --rebuild` to take it as it is"
    )
