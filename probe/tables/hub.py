"""A hub repository's files: small ones whole, of the weights only the byte ranges asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)

# The library documents these names and re-exports them without saying so to type checkers.
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    get_session,
    hf_raise_for_status,
    tqdm,
)

from probe.arrays import ByteArray
from probe.errors import ModelNotFoundError
from probe.hub import ask_once
from probe.tables.cache import cache_folder, write_aside
from probe.tables.files import PIPELINE_INDEX, map_bytes, read_whole, require_small

MAX_SKIPPED_BYTES = 1 << 25
"""What may be read and thrown away when a server ignores ranges."""

_ATTEMPTS = 3
_WAIT_S = 30.0
_SILENT_BYTES = 1 << 24
_ABSENT = "absent"


class HubFiles:
    """One commit of a hub repository, kept on disk range by range.

    The endpoint, the token and offline mode are those of huggingface_hub (`HF_ENDPOINT`,
    `HF_TOKEN`, `HF_HUB_OFFLINE`); files that its cache already holds are used from there. A commit
    never changes, so what was kept once is never asked for again.
    """

    def __init__(self, repo: str, revision: str | None, known: str = "config.json") -> None:
        self.where = repo
        if constants.HF_HUB_OFFLINE:
            self.where += " (HF_HUB_OFFLINE is set: only what is on this machine)"
        self._repo = repo
        with _one_clear_error(repo, known):
            try:
                self._commit = _commit_of(repo, revision, known)
            except EntryNotFoundError as error:
                unanswered = isinstance(error, LocalEntryNotFoundError)
                if known != "config.json" or (unanswered and not constants.HF_HUB_OFFLINE):
                    raise
                self._commit = _pipeline_commit(repo, revision, error)
        self._kept = _kept_of(repo) / self._commit

    def small(self, name: str) -> bytes | None:
        """A small file's bytes; None when the repository (or, offline, its copy) lacks it."""
        with _one_clear_error(self._repo):
            found = try_to_load_from_cache(self._repo, name, revision=self._commit)
            if found is None and (size := self.size(name)) is not None:
                require_small(name, size, self.where)  # before it fills the disk
                try:
                    found = hf_hub_download(self._repo, name, revision=self._commit)
                except EntryNotFoundError as error:
                    if isinstance(error, LocalEntryNotFoundError) and not constants.HF_HUB_OFFLINE:
                        raise
        if not isinstance(found, str):  # None, or the library's mark for a file known to be absent
            return None
        return read_whole(Path(found), os.path.getsize(found), self.where)

    def size(self, name: str) -> int | None:
        """A file's length in bytes; None when the repository (or, offline, its copy) lacks it."""
        if (path := self._downloaded(name)) is not None:
            return path.stat().st_size
        note = self._kept / f"{name}.size"
        if not note.is_file():
            if constants.HF_HUB_OFFLINE:
                return None
            answer = self._ask_size(name)
            write_aside(note, lambda aside: aside.write(answer.encode()))
        text = note.read_text()
        return None if text == _ABSENT else int(text)

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Bytes [start, stop) of a file."""
        return self.map(name, start, stop).tobytes()

    def map(self, name: str, start: int, stop: int) -> ByteArray:
        """The same bytes, memory-mapped from the copy on disk, [stop - start].

        Raises:
            ModelNotFoundError: the server does not deliver exactly these bytes.
        """
        if (path := self._downloaded(name)) is not None:
            return map_bytes(path, start, stop)
        path = self._kept / f"{name}.{start}-{stop}"
        if not (path.is_file() and path.stat().st_size == stop - start):
            with _one_clear_error(self._repo):
                write_aside(path, lambda aside: self._download(name, start, stop, aside))
        return map_bytes(path, 0, stop - start)

    def whole(self, name: str) -> Path:
        """Where a file lies in the library's cache, downloaded if need be."""
        with _one_clear_error(self._repo, name):
            return Path(hf_hub_download(self._repo, name, revision=self._commit))

    def _ask_size(self, name: str) -> str:
        with _one_clear_error(self._repo):
            try:
                size = get_hf_file_metadata(self._url(name)).size
            except EntryNotFoundError:
                return _ABSENT
        if size is None:
            raise ModelNotFoundError(
                f"{self.where}: the server does not tell the length of {name}: download the model "
                "and give its folder"
            )
        return str(size)

    def _download(self, name: str, start: int, stop: int, aside: BinaryIO) -> None:
        """Fetch a range, going on where a broken connection stopped."""
        total = stop - start
        # None lets the bar show itself on a terminal only.
        silent = True if total < _SILENT_BYTES else None
        with tqdm(  # type: ignore[no-untyped-call]
            total=total, unit="B", unit_scale=True, desc=name, disable=silent
        ) as bar:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    for chunk in self._stream(name, start + aside.tell(), stop):
                        aside.write(chunk)
                        bar.update(len(chunk))
                except HTTPError as error:
                    if isinstance(error, HfHubHTTPError) or attempt == _ATTEMPTS:
                        raise
                if aside.tell() == total:
                    return
        raise ModelNotFoundError(
            f"{self.where}: {name} ended after {aside.tell()} of {total} bytes: try again"
        )

    def _stream(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        """The bytes [start, stop) as they arrive, and never one more."""
        wanted = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
        headers = build_hf_headers() | wanted
        with get_session().stream(
            "GET", self._url(name), headers=headers, timeout=_WAIT_S
        ) as response:
            hf_raise_for_status(response)
            skip = self._bytes_before(response, name, start)
            for chunk in response.iter_raw():  # as they come: a break loses none of them
                skipped = min(skip, len(chunk))
                kept = chunk[skipped : skipped + stop - start]
                skip, start = skip - skipped, start + len(kept)
                yield kept
                if start == stop:
                    return

    def _bytes_before(self, response: Any, name: str, start: int) -> int:
        """How many bytes a response holds before the ones that were asked for."""
        sent = response.headers.get("Content-Range", "")
        if response.status_code == 206 and re.match(rf"bytes {start}-", sent):
            return 0
        if response.status_code == 200 and start <= MAX_SKIPPED_BYTES:
            return start
        raise ModelNotFoundError(
            f"{self.where}: the server sends no byte ranges of {name} (asked for byte {start}, got "
            f"status {response.status_code} {sent[:80]!r}): download the model and give its folder"
        )

    def _url(self, name: str) -> str:
        return hf_hub_url(self._repo, name, revision=self._commit)

    def _downloaded(self, name: str) -> Path | None:
        """The whole file in huggingface_hub's own cache, if somebody downloaded it."""
        found = try_to_load_from_cache(self._repo, name, revision=self._commit)
        return Path(found) if isinstance(found, str) else None


def _require_answer(repo: str, revision: str | None, known: str) -> int:
    """Ask once for a file that is not here; its length in bytes, 0 where nobody is asked."""
    here = try_to_load_from_cache(repo, known, revision=revision)
    if isinstance(here, str) or constants.HF_HUB_OFFLINE:
        return 0
    try:
        return ask_once(repo, known, revision=revision) or 0
    except HfHubHTTPError:
        raise
    except HTTPError as error:  # no answer at all: as the download itself would say it
        raise LocalEntryNotFoundError(str(error)) from error


def _commit_of(repo: str, revision: str | None, known: str) -> str:
    """The commit that a revision means now; offline, what it meant when it was last asked.

    A configuration is small and needed anyway; of a file of weights only its headers are asked.
    """
    size = _require_answer(repo, revision, known)
    if known in ("config.json", PIPELINE_INDEX):
        require_small(known, size, repo)
        # The cache has snapshots/COMMIT/config.json.
        return Path(hf_hub_download(repo, known, revision=revision)).parent.name
    note = _kept_of(repo) / "revisions" / quote(revision or "main", safe="")
    if not constants.HF_HUB_OFFLINE:
        commit = get_hf_file_metadata(hf_hub_url(repo, known, revision=revision)).commit_hash
        if commit is not None:
            write_aside(note, lambda aside: aside.write(commit.encode()))
            return commit
    if note.is_file():
        return note.read_text()
    whole = hf_hub_download(repo, known, revision=revision)
    return Path(whole[: -len(known)]).name


def _pipeline_commit(repo: str, revision: str | None, missing: EntryNotFoundError) -> str:
    """The commit of a diffusers pipeline, which has no `config.json` but its parts' own."""
    try:
        return _commit_of(repo, revision, PIPELINE_INDEX)
    except EntryNotFoundError:
        raise missing from None


def _kept_of(repo: str) -> Path:
    return cache_folder() / repo.replace("/", "--")


@contextmanager
def _one_clear_error(repo: str, known: str = "config.json") -> Iterator[None]:
    """Turn the hub library's exceptions into one line each."""
    try:
        yield
    except GatedRepoError as error:
        why = "is gated: accept its conditions on the hub and set HF_TOKEN"
        raise ModelNotFoundError(f"{repo} {why}") from error
    except RepositoryNotFoundError as error:
        why = f"is no model at {constants.ENDPOINT}: check the name, or set HF_TOKEN if private"
        raise ModelNotFoundError(f"{repo} {why}") from error
    except RevisionNotFoundError as error:
        raise ModelNotFoundError(f"{repo} has no such revision: check its branches") from error
    except LocalEntryNotFoundError as error:
        offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub did not answer"
        why = f"is not on this machine and {offline}: go online once, or give a model folder"
        raise ModelNotFoundError(f"{repo} {why}") from error
    except EntryNotFoundError as error:
        why = f"has no {known}: " + (
            "expected a model saved by transformers, or a GGUF file named as org/name:FILE.gguf"
            if known == "config.json"
            else "check the file's name on the hub"
        )
        raise ModelNotFoundError(f"{repo} {why}") from error
    except (HTTPError, HFValidationError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        why = f"cannot be read from {constants.ENDPOINT} ({reason[:160]}): try again"
        raise ModelNotFoundError(f"{repo} {why}") from error
