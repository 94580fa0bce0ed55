"""Does a reading of a classification prompt find its task among the tasks? On the sample prompts.

    python -m recipes.readings.task_prompts

A task's words are its label words, the words of its line in the samples' list, and the 20 most
frequent content words of its texts where these come with the samples. A reading's 20 words are
compared by the share of a task's words among them (stems, lower case), over all tasks of a model.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

import probe
from probe.analysis.neighbours import nearest_rows
from probe.prompt import SoftPrompt
from probe.readings import Subject
from probe.tables import load_vocabulary
from probe.verbs.decoding import with_start
from probe.vocabulary import Vocabulary
from recipes.readings.score import WORDS, Words, overlaps, retrieval

SAMPLES = Path(__file__).parents[2] / "sample_prompts"
MODELS = ("smollm2", "builtin", "minilm")
_TEXT_WORDS = 20


def content_words(text: str) -> Words:
    """Words of three letters and more that are no stop words."""
    found = re.findall(r"[a-z]{3,}", text.lower())
    return [word for word in found if word not in ENGLISH_STOP_WORDS]


def words_of(entry: dict[str, object]) -> Words:
    """What a reading of a prompt of this task should say."""
    labels = " ".join(map(str, entry["label_words"] or ()))  # type: ignore[call-overload]
    folder = SAMPLES / "tasks" / str(entry["task"])
    lines = (line for path in folder.glob("*.jsonl") for line in path.open(encoding="utf-8"))
    texts = " ".join(json.loads(line)["text"] for line in lines)
    frequent = [word for word, _ in Counter(content_words(texts)).most_common(_TEXT_WORDS)]
    told = [*content_words(labels), *content_words(str(entry["about"])), *frequent]
    return list(dict.fromkeys(told))


def said_of(prompts: list[SoftPrompt], vocabulary: Vocabulary) -> dict[str, dict[int, Words]]:
    """The first words of the readings that need no model, prompt by prompt where there are any."""
    table = vocabulary.search_table
    subject = Subject(prompts[0], vocabulary)
    rows = np.concatenate([one.embeddings for one in prompts])
    near = nearest_rows(rows, table, "cosine", k=3, allowed=subject.allowed).ids
    ends = np.cumsum([len(one) for one in prompts])[:-1]
    lists = {"nearest": {i: ids.T.ravel() for i, ids in enumerate(np.split(near, ends))}}
    means = {
        i: (one.embeddings - vocabulary.rows(np.array(one.init_token_ids))).mean(0)
        for i, one in enumerate(prompts)
        if one.init_token_ids is not None
    }
    moved = nearest_rows(
        np.stack(list(means.values())), table, "cosine", k=60, allowed=subject.allowed
    )
    lists["displacement"] = dict(zip(means, moved.ids, strict=True))
    return {
        name: {i: subject.words(ids)[:WORDS] for i, ids in found.items()}
        for name, found in lists.items()
    }


def main() -> None:
    """Print the table of docs/readings.md."""
    listed = json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8"))["prompts"]
    for model in MODELS:
        own = [one for one in listed if one["base_model"] == model and one.get("label_words")]
        tasks = {one["task"]: {"words": words_of(one)} for one in own}
        vocabulary = load_vocabulary(model)
        read = [(one, probe.load(SAMPLES / one["name"])[0]) for one in own]
        kept = [
            (one, with_start(prompt, vocabulary))
            for one, prompt in read
            if isinstance(prompt, SoftPrompt)
        ]
        for name, said in said_of([prompt for _, prompt in kept], vocabulary).items():
            for start, which in _by_start(said, [one for one, _ in kept]).items():
                words = [said[i] for i in which]
                right = np.array([list(tasks).index(kept[i][0]["task"]) for i in which])
                first = retrieval(overlaps(words, list(tasks.values())), right)["top1"]
                low, high = first["interval"]
                print(  # noqa: T201
                    f"| {model} | {start} | {name} | {len(which)} | {first['value']:.3f} "
                    f"({low:.2f} to {high:.2f}) | {1 / len(tasks):.3f} |",
                    flush=True,
                )


def _by_start(said: Iterable[int], entries: Sequence[dict[str, Any]]) -> dict[str, list[int]]:
    """Prompts that began from random tokens or noise, and from words that people chose."""
    found: dict[str, list[int]] = {}
    for i in said:
        init = str(entries[i]["training"]["init"])
        start = "random" if init.startswith(("vocab", "random")) else "chosen words"
        found.setdefault(start, []).append(i)
    return found


if __name__ == "__main__":
    main()
