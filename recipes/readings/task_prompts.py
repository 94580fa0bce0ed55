"""Does a reading of a classification prompt find its task among the tasks? On the sample prompts.

    python -m recipes.readings.task_prompts

A task's words are its label words, the words of its line in the samples' list, and the 20 most
frequent content words of its texts where these come with the samples. They and a reading's words
are compared as by `probe bench readings`, over all tasks of a model.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

import probe
from probe.analysis.retrieval import retrieval
from probe.distillation.known_texts import KnownText
from probe.prompt import SoftPrompt
from probe.readings import READINGS, Subject, read_all
from probe.readings.scorers import overlaps
from probe.store import Workspace
from probe.tables import load_vocabulary
from probe.verbs.decoding import with_start

SAMPLES = Path(__file__).parents[2] / "sample_prompts"
MODELS = ("smollm2", "builtin", "minilm")
_TEXT_WORDS = 20
Entry = dict[str, Any]


def content_words(text: str) -> list[str]:
    """Words of three letters and more that are no stop words."""
    found = re.findall(r"[a-z]{3,}", text.lower())
    return [word for word in found if word not in ENGLISH_STOP_WORDS]


def task_words(entry: Entry) -> tuple[str, ...]:
    """What a reading of a prompt of this task should say."""
    folder = SAMPLES / "tasks" / str(entry["task"])
    lines = (line for path in folder.glob("*.jsonl") for line in path.open(encoding="utf-8"))
    texts = " ".join(json.loads(line)["text"] for line in lines)
    frequent = [word for word, _ in Counter(content_words(texts)).most_common(_TEXT_WORDS)]
    labels = " ".join(map(str, entry["label_words"]))
    told = [*content_words(labels), *content_words(str(entry["about"])), *frequent]
    return tuple(dict.fromkeys(told))


def start_kind(entry: Entry) -> str:
    """Whether a prompt began from random tokens or noise, or from words that people chose."""
    init = str(entry["training"]["init"])
    return "random" if init.startswith(("vocab", "random")) else "chosen words"


def said(entries: list[Entry], model: str) -> Iterator[tuple[str, str, int, tuple[str, ...]]]:
    """Reading, kind of start, number of the entry, and words, of the readings without a model."""
    vocabulary, names = (
        load_vocabulary(model),
        [n for n, k in READINGS.items() if not k.needs_model],
    )
    for number, entry in enumerate(entries):
        prompt = probe.load(SAMPLES / entry["name"])[0]
        if isinstance(prompt, SoftPrompt):
            cached = Workspace().cached_arrays
            subject = Subject(with_start(prompt, vocabulary), vocabulary, cached=cached)
            for found in read_all(subject, names):
                if not found.refused:
                    yield found.name, start_kind(entry), number, found.words


def main() -> None:
    """Print the table of docs/readings.md."""
    listed = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))["prompts"]
    for model in MODELS:
        own = [one for one in listed if one["base_model"] == model and one.get("label_words")]
        tasks = {one["task"]: KnownText(one["task"], task_words(one)) for one in own}
        groups: dict[tuple[str, str], list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
        for reading, start, number, words in said(own, model):
            groups[start, reading].append((number, words))
        for (start, reading), found in groups.items():
            right = np.array([list(tasks).index(own[number]["task"]) for number, _ in found])
            scores = overlaps([words for _, words in found], list(tasks.values()))
            first = retrieval(scores, right).top1
            low, high = first.ends
            print(  # noqa: T201
                f"| {model} | {start} | {reading.replace('_', ' ')} | {len(found)} | "
                f"{first.value:.3f} ({low:.2f} to {high:.2f}) | {1 / len(tasks):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
