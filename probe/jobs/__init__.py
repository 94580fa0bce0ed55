"""Runs as processes of their own, which outlive whoever starts them; their folders are the truth.

    run = start(workspace, config)          # or resume(workspace, NAME): a worker begins
    for news in follow(run):                # until nobody works at it any more
        print(news.state, news.status.step, news.records)
    cancel(workspace, run.id)               # it saves first
    view(workspace, run)                    # as people see it, `interrupted` included

One run of a workspace trains at a time, the others queue. `probe.jobs.training` is what a worker
does and `probe.jobs.plan` what `--dry-run` does; both import torch, this module does not.
"""

from probe.jobs.control import RunUpdate, cancel, delete, follow, resume, start
from probe.jobs.views import ObservedState, RunView, observe, scored, view, views

__all__ = [
    "RunUpdate",
    "RunView",
    "ObservedState",
    "cancel",
    "delete",
    "follow",
    "observe",
    "resume",
    "start",
    "scored",
    "view",
    "views",
]
