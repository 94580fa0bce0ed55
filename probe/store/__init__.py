"""The workspace: prompts that only grow with an index over them, runs, and cached arrays."""

from probe.atomic import replace_file, require_new
from probe.store.card import Card, card_of, shape_of
from probe.store.files import keep_file
from probe.store.history import EvaluationRecord, last_like
from probe.store.runs import RunConfig, RunFolder, RunFolders
from probe.store.runs_metrics import Record, cut_records, read_records
from probe.store.runs_status import ACTIVE, State, Status
from probe.store.studies import StudyConfig, StudyFolder, StudyFolders
from probe.store.workspace import Workspace

__all__ = [
    "ACTIVE",
    "Card",
    "EvaluationRecord",
    "Record",
    "RunConfig",
    "RunFolder",
    "RunFolders",
    "State",
    "Status",
    "StudyConfig",
    "StudyFolder",
    "StudyFolders",
    "Workspace",
    "card_of",
    "cut_records",
    "keep_file",
    "last_like",
    "read_records",
    "replace_file",
    "require_new",
    "shape_of",
]
