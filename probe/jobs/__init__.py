"""Work that outlives whoever starts it, in processes of its own; their folders are the truth.

    job = start(workspace, config)          # or resume(workspace, NAME): a worker begins
    for update in follow(job):              # until nobody works at it any more
        print(update.state, update.status.step, update.records)
    cancel(workspace, job.id)               # it saves first
    view(workspace, job)                    # as people see it, `interrupted` included

One job of a workspace works at a time, the others queue. What a job is for is its kind: training a
prompt, a waywardness study, a sweep. A further kind is an entry of `probe.jobs.worker.KINDS` and a
module with `run(workspace, job, reporter, stop)`. Those modules import torch, this one does not.
"""

from probe.jobs.control import cancel, delete, resume, start
from probe.jobs.views import (
    JobView,
    ObservedState,
    RunUpdate,
    follow,
    observe,
    scored,
    view,
    views,
)
