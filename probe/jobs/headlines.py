"""How a run or a study stands and how it goes on, in one wording for pages and the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from probe.analysis.gains import best_sentence
from probe.jobs import JobView, ObservedState, scored
from probe.store import SCORING
from probe.texts import counted, duration, duration_range

if TYPE_CHECKING:
    from probe.jobs.plan import StudyPlan, TrainPlan

_ACTIVITIES = {
    "": "Starting …",
    "loading": "Loading the model and the data …",
    "sampling": "Drawing the answers that the model gives when it reads the text …",
    "stopping": "Stopping: it ends once it has saved …",
    "scoring": "Trained; scoring the prompt on held-out examples …",
}


STATES: tuple[ObservedState, ...] = (
    "running",
    "queued",
    "finished",
    "cancelled",
    "interrupted",
    "failed",
)


def runs_headline(
    runs: Sequence[JobView], name: Callable[[JobView], str] | None = None, *, strong: str = ""
) -> list[str]:
    """How many runs there are in which state, and whose prompt gains most.

    Args:
        runs: in any order.
        name: how each is called; by its label, or its own name, when None.
        strong: stands around what matters, as `**` in Markdown.
    """
    counts = Counter(run.state for run in runs)
    parts = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    first = f"{counted(len(runs), 'run')}: {parts}." if runs else "0 runs."
    best = best_sentence(scored(runs, name) if name else scored(runs), strong=strong)
    return [first, best] if best else [first]


def job_headline(job: JobView, *, shown: Callable[[str], str] = str) -> str:
    """How a job stands, in one sentence.

    Args:
        job: a run or a study.
        shown: writes what comes from files, such as names and messages, so that it is safe to show.
    """
    if job.state == "queued":
        return _queued(job)
    if job.state == "running":
        return _running(job)
    if job.state == "failed":
        return f"Failed at {_place(job)}: {shown(job.message)}"
    if job.state == "finished":
        return _finished(job, shown)
    if job.state == "interrupted":
        return f"Interrupted at {_place(job)}: the worker died."
    kept = job.is_training and job.resumable and job.step and not was_killed(job)
    saved = "; it was saved" if kept else ""
    return f"Cancelled at {_place(job)}{saved}."


def job_advice(job: JobView, *, resume: str) -> str:
    """What to do about a job that has stopped short; empty where there is nothing to do.

    Args:
        job: a run or a study.
        resume: how the way to go on is called where this is read.
    """
    if not job.resumable:
        return ""
    if not job.is_training:
        return f"Finished batches are kept, and {resume} goes on from there."
    if job.state == "interrupted":
        return (
            "The process died without a word: it was killed, the machine went down, or memory ran "
            f"out. Nothing up to the last checkpoint is lost: {resume} goes on from there. If it "
            "dies again, choose a smaller batch size or a smaller model."
        )
    if job.state == "cancelled" and not was_killed(job):  # else its message says how it goes on
        return f"{resume} {'goes on from where it was saved' if job.step else 'begins anew'}."
    if job.state == "failed" and "out of memory" not in job.message:
        return f"Mend what the message names, then {resume}, or train anew with other settings."
    return ""


def was_killed(job: JobView) -> bool:
    """Whether its worker had to be killed to cancel it, and so saved nothing at its end."""
    return job.state == "cancelled" and job.message.startswith("killed")


def _place(job: JobView) -> str:
    """How far it came."""
    if job.is_training:
        return f"step {job.step:,}" + (f" of {job.steps:,}" if job.state != "failed" else "")
    return f"run {job.done:,}" + (f" of {job.runs:,}" if job.runs else "")


def _queued(job: JobView) -> str:
    if not job.waits_for:
        return "Waiting for its turn." if job.is_training else _ACTIVITIES[""]
    count = len(job.waits_for)
    return f"Waiting for {'the run' if count == 1 else f'{count} runs'} before it."


def _running(job: JobView) -> str:
    left = f", about {duration(job.eta_s)} left" if job.eta_s is not None else ""
    beginning = not job.is_training and not job.step
    if job.activity == SCORING and job.steps and not job.is_training:
        return f"Trained this batch; scoring {job.step:,} of {job.steps:,}{left}."
    if beginning or job.activity in ("loading", "sampling", SCORING, "stopping"):
        return _ACTIVITIES.get(job.activity, f"Working{left}.")
    if job.is_training:
        return f"Training: step {job.step:,} of {job.steps:,}{left}."
    loss = "" if job.loss_nats is None else f", loss {job.loss_nats:.3f} nats"
    return f"Step {job.step:,} of {job.steps:,} of this batch{loss}{left}."


def _finished(job: JobView, shown: Callable[[str], str]) -> str:
    if job.is_training:
        return f"Finished after {job.step:,} steps: made {', '.join(map(shown, job.prompts))}."
    before = f", {job.found:,} of them trained before" if job.found else ""
    return f"{counted(job.done, 'training')}{before}."


def _train_plan(plan: TrainPlan) -> list[str]:
    return [
        f"About {duration_range(*plan.estimate_range_s)} as fast as this machine is now, without "
        f"validations: {1000 * plan.step_s:,.0f} ms a step on {plan.device}. "
        f"{counted(plan.length, 'row')}, {counted(plan.trained_parameters, 'trained number')}, "
        f"{counted(plan.train_examples, 'training example')} seen {plan.epochs:.1f} times, rate "
        f"{plan.learning_rate:.3g}.",
        *(f"Note: {note}." for note in plan.notes),
    ]


def _study_plan(plan: StudyPlan) -> list[str]:
    before = f", {plan.found:,} more were trained before" if plan.found else ""
    return [
        f"About {duration(plan.estimate_s)} for {counted(plan.trainings - plan.found, 'training')} "
        f"in {counted(plan.packs, 'batch', 'batches')}{before}, as fast as this machine is now and "
        "without scoring."
    ]


HEADLINES: dict[str, Callable[[Any], list[str]]] = {
    "jobs.JobView": lambda job: [f"{job.run}: {job_headline(job)}"],
    "jobs.StudyPlan": _study_plan,
    "jobs.TrainPlan": _train_plan,
    "jobs.runs": runs_headline,
}
"""By package and name of the result's class, of lists by what they hold."""
