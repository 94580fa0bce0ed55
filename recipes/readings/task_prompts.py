"""Does a reading of a classification prompt find its task among the tasks? On the sample prompts.

    python -m recipes.readings.task_prompts
    python -m recipes.readings.task_prompts --readings ask,patching --models builtin

A task's words are its label words, the words of its line in the samples' list, and the 20 most
frequent content words of its texts where these come with the samples. They and a reading's words
are compared as by `probe bench readings`, over all tasks of a model.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

import probe
from probe.analysis.reading_rates import retrieval
from probe.distillation.known_texts import KnownText
from probe.models import load_model
from probe.prompt import SoftPrompt
from probe.readings import READINGS, Reading, Subject, needs_model, read_all
from probe.readings.scorers import overlaps
from probe.store import Workspace
from probe.tables import load_vocabulary
from probe.verbs.decoding import with_start

SAMPLES = Path(__file__).parents[2] / "sample_prompts"
_TEXT_WORDS = 20
Entry = dict[str, Any]


def content_words(text: str) -> list[str]:
    """Words of three letters and more that are no stop words."""
    found = re.findall(r"[a-z]{3,}", text.lower())
    return [word for word in found if word not in ENGLISH_STOP_WORDS]


def task_words(entry: Entry) -> tuple[str, ...]:
    """What a reading of a prompt of this task should say."""
    folder = SAMPLES / "tasks" / str(entry["task"])
    files = (path.read_text(encoding="utf-8") for path in folder.glob("*.jsonl"))
    texts = " ".join(json.loads(line)["text"] for own in files for line in own.split("\n") if line)
    frequent = [word for word, _ in Counter(content_words(texts)).most_common(_TEXT_WORDS)]
    labels = " ".join(map(str, entry["label_words"]))
    told = [*content_words(labels), *content_words(str(entry["about"])), *frequent]
    return tuple(dict.fromkeys(told))


def start_kind(entry: Entry) -> str:
    """Whether a prompt began from random tokens or noise, or from words that people chose."""
    init = str(entry["training"]["init"])
    return "random" if init.startswith(("vocab", "random")) else "chosen words"


def said(entries: list[Entry], model: str, names: list[str]) -> Iterator[tuple[int, Reading]]:
    """Number of the entry, and what a reading says of its prompt."""
    vocabulary = load_vocabulary(model)
    opened = load_model(model, device="cpu") if needs_model(names) else None
    for number, entry in enumerate(entries):
        prompt = probe.load(SAMPLES / entry["name"])[0]
        if isinstance(prompt, SoftPrompt):
            cached = Workspace().cached_arrays
            subject = Subject(with_start(prompt, vocabulary), vocabulary, opened, cached=cached)
            yield from ((number, one) for one in read_all(subject, names) if not one.refused)


def main() -> None:
    """Print the table of docs/readings.md, and how many readings are better than their control."""
    asked = argparse.ArgumentParser()
    pure = ",".join(name for name, kind in READINGS.items() if not kind.needs_model)
    asked.add_argument("--readings", default=pure, help="with commas between")
    asked.add_argument("--models", default="smollm2,builtin,minilm", help="with commas between")
    options = asked.parse_args()
    listed = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))["prompts"]
    for model in options.models.split(","):
        own = [one for one in listed if one["base_model"] == model and one.get("label_words")]
        tasks = {one["task"]: KnownText(one["task"], task_words(one)) for one in own}
        groups: dict[tuple[str, str], list[tuple[int, Reading]]] = defaultdict(list)
        for number, one in said(own, model, options.readings.split(",")):
            groups[start_kind(own[number]), one.name].append((number, one))
        for (start, reading), found in groups.items():
            right = np.array([list(tasks).index(own[number]["task"]) for number, _ in found])
            scores = overlaps([one.words for _, one in found], list(tasks.values()))
            first = retrieval(scores, right).top1
            low, high = first.ends
            better = sum(bool(one.better_than_controls) for _, one in found)
            print(  # noqa: T201
                f"| {model} | {start} | {reading.replace('_', ' ')} | {len(found)} | "
                f"{first.value:.3f} ({low:.2f} to {high:.2f}) | {1 / len(tasks):.3f} | {better} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
