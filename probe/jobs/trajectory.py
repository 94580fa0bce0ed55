"""The way of a run's prompts through training: now and then their rows, each a file that opens."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from probe import formats
from probe.atomic import file_aside
from probe.errors import PromptFormatError
from probe.formats.layouts import probe_file
from probe.jobs.processes import JobGoneError
from probe.prompt import SoftPrompt
from probe.store import JobFolder

if TYPE_CHECKING:
    from probe.training import Step, Training

_LOOKS = 25
"""Times in a run that rows are kept at most, besides its start and its end."""
_LOG = logging.getLogger(__name__)


def begin_trajectory(job: JobFolder, training: Training) -> None:
    """Keep the rows that every prompt starts from; what a kill left of later steps goes."""
    for path in job.trajectory.glob(_name("*", "*")):
        if path.stem[-8:] > f"{training.step:08d}":
            path.unlink()
    if training.step == 0:
        for number in range(len(training.runs)):
            _keep(job, training, number)


def keep_trajectory(job: JobFolder, training: Training, step: Step) -> None:
    """Keep a prompt's rows after an update where it is time to, and after the last.

    Raises:
        JobGoneError: the run's folder is gone.
        OSError: it cannot be written.
    """
    every = math.ceil((job.config.steps or 1) / _LOOKS)
    if step.step % every == 0 or step.stopped:
        _keep(job, training, step.prompt)


def kept_trajectory(job: JobFolder, number: int = 0) -> dict[int, SoftPrompt]:
    """One of a run's prompts by the step at which it was so, ascending; damaged files are left out.

    Args:
        job: the run. Those of a prefix, of another's process and of older versions kept nothing.
        number: which of the prompts it trains at once.
    """
    found: dict[int, SoftPrompt] = {}
    for path in sorted(job.trajectory.glob(_name(number, "[0-9]" * 8))):
        try:
            (prompt,) = formats.load(path)
        except (PromptFormatError, ValueError) as error:
            _LOG.warning("left out %s, which is damaged: %s", path.name, error)
            continue
        if isinstance(prompt, SoftPrompt):
            found[int(path.stem[-8:])] = prompt
    return found


def _keep(job: JobFolder, training: Training, number: int) -> None:
    """A prefix has no rows, and those of a run that diverged are of an earlier step."""
    from probe.training.export import as_it_is  # torch, which reading does without

    run = training.runs[number]
    if run.start.prefix is not None or run.diverged:
        return
    prompt = replace(as_it_is(training.model, run), name=f"{job.config.name}-step-{run.step}")
    try:
        if not job.trajectory.exists():
            job.trajectory.mkdir(mode=0o700)
        with file_aside(job.trajectory / _name(number, f"{run.step:08d}")) as file:
            file.write(probe_file.to_bytes(prompt))
    except FileNotFoundError as error:
        raise JobGoneError from error


def _name(number: int | str, step: str) -> str:
    return f"prompt-{number}-step-{step}.safetensors"
