"""`manifest.json`: what each sample prompt is, how it was made and what it scores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from probe.evaluation import Evaluation
from probe.prompt import AnyPrompt
from probe.task import Task
from recipes.sample_prompts.wanted import ABOUT, Wanted

_TRAINING = ("method", "init", "steps", "learning_rate", "batch_size", "seed", "objective")


def entry(
    wanted: Wanted,
    task: Task,
    prompt: AnyPrompt,
    scored: Evaluation,
    alone: Evaluation,
) -> dict[str, Any]:
    """What a prompt is, how it was made, and how it scores beside zero-shot."""
    against = scored.against_zero_shot
    if against is None:
        raise ValueError(f"{wanted.name} was not compared with zero-shot")
    metric, difference = task.metric, against[task.metric]
    return {
        "name": wanted.name,
        "task": task.name,
        "about": ABOUT[task.name].line,
        "base_model": wanted.model,
        "method": "prefix_tuning" if wanted.kind == "prefix" else prompt.method,
        "length": len(prompt),
        "how_made": f"{wanted.how_made}, with probe",
        "template": task.template,
        "label_words": list(task.label_words),
        "training": {key: prompt.config["training"][key] for key in _TRAINING},
        "metrics": {
            metric: round(scored.measures[metric].value, 4),
            f"zero_shot_{metric}": round(alone.measures[metric].value, 4),
            "interval": _rounded(scored.measures[metric].interval),
            "gain": round(difference.value, 4),
            "gain_interval": _rounded(difference.interval),
            "loss_nats": round(scored.measures["loss_nats"].value, 4),
        },
    }


def read_entries(folder: Path) -> dict[str, dict[str, Any]]:
    """The entries of a folder's manifest by name, none where there is no manifest."""
    path = folder / "manifest.json"
    if not path.exists():
        return {}
    return {one["name"]: one for one in json.loads(path.read_text(encoding="utf-8"))["prompts"]}


def write_entries(folder: Path, entries: Mapping[str, dict[str, Any]]) -> None:
    """Write the manifest aside, then put it in place; the entries are sorted by name."""
    prompts = [entries[name] for name in sorted(entries)]
    aside = folder / "manifest.partial"
    aside.write_text(json.dumps({"version": 1, "prompts": prompts}, indent=1) + "\n")
    os.replace(aside, folder / "manifest.json")


def _rounded(interval: tuple[float, float]) -> list[float]:
    return [round(end, 4) for end in interval]
