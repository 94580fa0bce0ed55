"""Studies of many trainings: planned, or done and shown; while one runs, a line says how far."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.atomic import folder_aside, rename_new
from probe.cli.asking import made_of_request
from probe.cli.options import usage_errors
from probe.cli.output import Line, command_line, facts_table, new_place, say, show, tell_queue
from probe.commands import Command, in_cli
from probe.requests.train_methods import method_words
from probe.texts import counted, duration, duration_range

if TYPE_CHECKING:
    from probe.jobs.plan import StudyPlan, TrainPlan
    from probe.studies.executor import Progress
    from probe.verbs.studies import StudyResult

_EVERY_S = 60.0


@dataclass(frozen=True)
class Output:
    """What becomes of a study besides its folder."""

    out: Path | None = None
    """Also copy results, figures and prompts to this new folder."""
    dry_run: bool = False
    """Count runs, make three steps, print plan and time."""
    json: bool = False
    """Print one JSON document and nothing else."""


@dataclass(frozen=True)
class AskStudy:
    """A command that plans or does a study."""

    of: Command

    def command(self) -> Callable[..., None]:
        """What typer takes."""

        def made(asked: Any, output: Output) -> None:
            self._answer(asked, output)

        goes_on = "Ctrl-C keeps what is finished; the same command goes on."
        return made_of_request(self.of, made, goes_on)

    def _answer(self, asked: Any, output: Output) -> None:
        from probe.verbs.studies import run_as_asked

        module, name = self.of.module, self.of.function
        with usage_errors():
            config = getattr(module, f"{name}_config")(asked)
        config = dataclasses.replace(config, command=command_line())
        if output.dry_run:
            from probe.jobs.plan import dry_run  # torch comes with it

            plan = dry_run(config, at_once=asked.at_once)
            print_plan(plan, in_cli(self.of.facts)(config), json=output.json)
            return
        out = new_place(output.out)
        with Line(_EVERY_S) as line:

            def watch(progress: Progress) -> None:
                line.show(_words(progress), now=progress.pack is None)

            run = getattr(module, f"{name}_run", run_as_asked)
            result = run(asked, config, watch=watch, told=tell_queue)
        if out is not None:
            _keep_copy(result.folder, out)
        show(result, self._print, json=output.json)

    def _print(self, result: StudyResult) -> None:
        in_cli(self.of.shows)(result)
        say("", f"results, prompts and figures: {result.folder}")


def _words(progress: Progress) -> str:
    parts = [f"{progress.done} of {counted(progress.runs, progress.what)}"]
    if progress.found:
        parts.append(f"{progress.found} found")
    if (pack := progress.pack) is not None:
        loss = "" if pack.loss_nats is None else f", loss {pack.loss_nats:.3f} nats"
        parts.append(f"{'scoring' if pack.scoring else 'step'} {pack.step} of {pack.steps}{loss}")
    if progress.eta_s is not None and progress.done < progress.runs:
        parts.append(f"about {duration(progress.eta_s)} left")
    return " · ".join(parts)


def _keep_copy(study: Path, out: Path) -> None:
    """Copy what a study made, whole or not at all; its status, log and lock stay behind."""
    hidden = shutil.ignore_patterns(".*", "status.json", "log.txt")
    out.parent.mkdir(parents=True, exist_ok=True)
    with folder_aside(out.parent) as aside:
        rename_new(shutil.copytree(study, aside / out.name, ignore=hidden), out)


def print_plan(
    plan: TrainPlan | StudyPlan, facts: Mapping[str, str] | None = None, *, json: bool
) -> None:
    """What would be done; `facts` of a study's own kind come before what all studies have."""
    from probe.jobs.plan import TrainPlan

    own = _training_facts(plan) if isinstance(plan, TrainPlan) else _study_facts(plan)
    show(plan, lambda _: say(facts_table({**(facts or {}), **own})), json=json)


def _training_facts(plan: TrainPlan) -> dict[str, str]:
    examples = f"{plan.train_examples:,} to train, {plan.validation_examples:,} to validate"
    batch = counted(plan.batch_size, "example")
    each = f"{counted(plan.trained_parameters, 'trained number')}"
    return {
        "model": f"{plan.model} ({plan.family}, {counted(plan.parameters, 'parameter')}, frozen)",
        "on": f"{plan.device}, {plan.dtype}",
        "task": f"{plan.task} ({plan.kind}): {plan.template}",
        "labels": _labels(plan),
        "examples": f"{examples}, {plan.test_examples:,} to test",
        "balance": _balance(plan),
        "cut texts": f"{plan.cut_texts:,}" if plan.cut_texts else "none",
        "prompt": f"{method_words(plan.method)}, {counted(plan.length, 'virtual token')}, {each}",
        "prompts": f"{plan.prompts} at once",
        "start": plan.init,
        "steps": f"{plan.steps:,} of {batch} ({plan.epochs:.1f} epochs)",
        "rate": f"{plan.learning_rate:g}",
        "a step": f"{plan.step_s * 1000:,.0f} ms ({plan.tokens_per_s:,.0f} tokens/s)",
        "all steps": f"about {duration_range(*plan.estimate_range_s)}, without validations and "
        "scores",
    }


def _study_facts(plan: StudyPlan) -> dict[str, str]:
    shared = plan.runs - plan.trainings
    others = f", {shared:,} of which are others over again" if shared else ""
    packs = f"{counted(plan.packs, 'batch', 'batches')} of up to {plan.at_once}"
    return {
        "runs": f"{plan.runs:,}{others}",
        "trained before": f"{plan.found:,}",
        "to train": f"{plan.trainings - plan.found:,} in {packs}",
        "a step": "–" if plan.update_s is None else f"{plan.update_s * 1000:,.0f} ms per prompt",
        "all steps": f"about {duration(plan.estimate_s)}, without scores",
    }


def _labels(plan: TrainPlan) -> str:
    """Every label's words, with the tokens of the one that names it."""
    pairs = zip(plan.label_words, plan.label_tokens, strict=True)
    each = [f"{word} ({counted(tokens, 'token')})" for word, tokens in pairs]
    return ", ".join(each) or "–"


def _balance(plan: TrainPlan) -> str:
    """How the training examples are spread over the labels."""
    pairs = zip(plan.label_words, plan.label_counts, strict=True)
    total = plan.train_examples
    return ", ".join(f"{word} {count:,} ({count / total:.0%})" for word, count in pairs) or "–"
