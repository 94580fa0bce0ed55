"""The worker of one study, in a process of its own: `python -m probe.verbs.study_worker FOLDER`."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from probe.errors import ProbeError, is_failure
from probe.jobs.processes import process_start_time
from probe.store import Status, StudyFolder, Workspace


def main(arguments: Sequence[str]) -> int:
    """Work at the study of a folder until it is finished, stopped or failed; the exit status."""
    study = StudyFolder(Path(arguments[0]).absolute())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever started it may have had them ignored.
        signal.signal(number, signal.default_int_handler)
    if study.status.pid is None:
        _first_word(study)
    try:
        from probe.verbs.waywardness import wayward_again

        wayward_again(study, workspace=Workspace(study.path.parents[1]))
    except KeyboardInterrupt:
        return 0
    except ProbeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except BaseException as error:
        if not is_failure(error):
            raise
        traceback.print_exc()
        return 1
    return 0


def _first_word(study: StudyFolder) -> None:
    """Say that somebody is there before anything large is imported."""
    pid = os.getpid()
    queued = study.status
    study.write(
        Status(
            "running", queued.queued_at, pid=pid, started=process_start_time(pid),
            heartbeat=time.time(), activity="loading", step=queued.step, metrics=queued.metrics,
        )
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
