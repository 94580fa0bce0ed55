"""What a waywardness study has found so far, and its prompts for the library."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe import formats
from probe.errors import WorkspaceError
from probe.prompt import AnyPrompt
from probe.store import JobFolder, Workspace
from probe.store.card import workspace_name

if TYPE_CHECKING:
    from probe.analysis.waywardness import Waywardness, WaywardRun

TAG = "wayward"


def wayward_found(study: JobFolder) -> Waywardness:
    """What the finished runs of a study come to; it may still be at work.

    Raises:
        WorkspaceError: its results cannot be read.
    """
    import pandas as pd

    from probe.analysis.waywardness import WaywardRun, waywardness

    if not study.results.is_file():
        return waywardness([])
    try:
        rows = pd.read_parquet(study.results).to_dict("records")
        return waywardness([WaywardRun(**_known(row)) for row in rows])
    except (OSError, ValueError, TypeError) as error:
        raise WorkspaceError(
            f"{study.results} cannot be read ({str(error)[:120]}): delete it and resume the study"
        ) from error


def _known(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    """A row of the results; what older studies and runs did not note is left to its default."""
    from probe.analysis.waywardness import WaywardRun

    optional = {field.name for field in dataclasses.fields(WaywardRun) if field.default is None}
    named = {str(name): value for name, value in row.items()}
    return {k: v for k, v in named.items() if not (k in optional and (v is None or v != v))}


def keep_wayward(study: JobFolder, run: WaywardRun, *, workspace: Workspace) -> str:
    """Put the prompt of a run into the library, once however often it is asked for.

    Returns:
        Its name there, `name@version`.

    Raises:
        PromptFormatError: its file is damaged.
        WorkspaceError: the workspace cannot be written.
    """
    (prompt,) = formats.load(study.prompts / Path(run.prompt).name)
    for id_, stored in workspace.prompts.loaded(workspace_name(prompt.name)):
        if _key(stored) == _key(prompt):
            return id_
    held = f"held near “{run.target}” at γ = {run.gamma:g}" if run.gamma else "γ = 0, the baseline"
    note = f"{held}; started at {run.init}, seed {run.seed}; study {study.id}"
    own = dataclasses.replace(prompt, config={**prompt.config, "study": study.id})
    return workspace.save(own, tags=[TAG], note=note).id


def _key(prompt: AnyPrompt) -> object:
    return prompt.config.get("run_key")
