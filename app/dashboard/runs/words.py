"""A run in words: its name, how it stands, what came of it, and how to go on."""

from __future__ import annotations

from dashboard.shared.markdown import plain
from probe.jobs import JobView
from probe.jobs.eta import duration


def shown_name(run: JobView) -> str:
    """Its label, or its name where it has none."""
    return run.label or run.run


def answer(run: JobView) -> str:
    """How the run stands, in one sentence of Markdown."""
    return _ANSWERS[run.state](run)


def hint(run: JobView) -> str:
    """What to do about a run that has stopped short; empty where there is nothing to do."""
    if run.state == "interrupted":
        return (
            "The process died without a word: it was killed, the machine went down, or memory ran "
            "out. Nothing up to the last checkpoint is lost: **Resume** goes on from there. If it "
            "dies again, choose a smaller batch size or a smaller model."
        )
    if run.state == "cancelled" and not killed(run):  # else its message says how it goes on
        return f"**Resume** {'goes on from where it was saved' if run.step else 'begins anew'}."
    if run.state == "failed" and "out of memory" not in run.message:
        return "Mend what the message names, then **Resume**, or **Reproduce** with other settings."
    return ""


def killed(run: JobView) -> bool:
    """Whether its worker had to be killed to cancel it, and so saved nothing at its end."""
    return run.state == "cancelled" and run.message.startswith("killed")


def _queued(run: JobView) -> str:
    if not run.waits_for:
        return "Waiting for its turn."
    count = len(run.waits_for)
    return f"Waiting for {'the run' if count == 1 else f'{count} runs'} before it."


def _running(run: JobView) -> str:
    if run.activity == "loading":
        return "Loading the model and the data …"
    if run.activity == "scoring":
        return "Trained; scoring the prompt on held-out examples …"
    left = f", about {duration(run.eta_s)} left" if run.eta_s is not None else ""
    return f"Training: step {run.step:,} of {run.steps:,}{left}."


def _finished(run: JobView) -> str:
    made = ", ".join(f"**{plain(name)}**" for name in run.prompts)
    return f"Finished after {run.step:,} steps: made {made}."


def _cancelled(run: JobView) -> str:
    saved = "; it was saved" if run.step and not killed(run) else ""
    return f"Cancelled at step {run.step:,} of {run.steps:,}{saved}."


def _failed(run: JobView) -> str:
    return f"Failed at step {run.step:,}: {plain(run.message)}"


_ANSWERS = {
    "queued": _queued,
    "running": _running,
    "finished": _finished,
    "cancelled": _cancelled,
    "interrupted": lambda run: f"Interrupted at step {run.step:,} of {run.steps:,}.",
    "failed": _failed,
}
