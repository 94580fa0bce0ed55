"""The workspace: prompts that only grow with an index over them, runs, and cached arrays."""

from probe.store.card import Card, card_of, shape_of
from probe.store.files import keep_file
from probe.store.history import EvaluationRecord, last_like
from probe.store.job_config import RECORDED_BY, TRAININGS, JobConfig, JobKind
from probe.store.job_status import (
    ACTIVE,
    SCORING,
    TRAINING,
    Record,
    State,
    Status,
    append_record,
    cut_records,
    queued,
    read_records,
)
from probe.store.jobs import JobFolder, JobFolders
from probe.store.library import Library
from probe.store.samples import (
    load_sample,
    sample_card,
    sample_cards,
    sample_facts,
    sample_folders,
)
from probe.store.workspace import Workspace

__all__ = ["Library", "Workspace"]
