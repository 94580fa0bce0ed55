"""Asking a model hub for the first time, which may never answer."""

from __future__ import annotations

import os

_ANSWER_S = 5.0


def answer_wait_s() -> float:
    """Seconds a hub has for its first answer: `HF_HUB_ETAG_TIMEOUT` where that is set."""
    return float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or _ANSWER_S)


def ask_once(
    repository: str, file: str, *, revision: str | None = None, repo_type: str | None = None
) -> int | None:
    """Ask for a file once: the library's downloads ask six times, and wait for each.

    Args:
        repository: `owner/name`.
        file: its path in the repository.
        revision: branch, tag or commit; None for the default branch.
        repo_type: `dataset`; None for a model.

    Returns:
        Its length in bytes, where the hub tells it.

    Raises:
        Exception: whatever the library raises of a refusal, or of no answer.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(repository, file, revision=revision, repo_type=repo_type)
    return get_hf_file_metadata(url, timeout=answer_wait_s()).size
