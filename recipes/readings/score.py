"""How often does a reading find the text that a prompt was distilled from? Retrieval among N texts.

    python -m recipes.readings.score --model smollm2 --out build/readings --write
    python -m recipes.readings.score --model smollm2 --out build/readings --controls

Reads what `known_texts` kept. Two scorers compare what a reading says with each of the texts:
`overlap`, the share of a text's content words among the reading's 20 tokens (lower case, stems),
and `semantic`, the cosine of all-MiniLM-L6-v2's sentence embeddings. Both are checked on the texts
themselves and on random tokens.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from nltk.stem.snowball import SnowballStemmer
from numpy.typing import NDArray
from safetensors import safe_open

from probe.analysis.displacement import StartRows, displacement
from probe.analysis.neighbours import nearest_rows, token_filter
from probe.models import load_model, prepare
from probe.models.injection import no_prompt
from probe.prompt import SoftPrompt
from probe.tables import load_vocabulary
from probe.task import Example, Task
from probe.vocabulary import Vocabulary
from recipes.readings.known_texts import CONDITIONS, TEXTS

WORDS = 20
RATES = Path(__file__).parents[2] / "probe" / "readings" / "hit_rates.json"
CONTROLS = RATES.with_name("controls.json")
_STEM: Callable[[str], str] = SnowballStemmer("english").stem
Words = list[str]


def tokens_as_words(vocabulary: Vocabulary, ids: Sequence[int]) -> Words:
    """Different words among tokens, best first: what a person would read off a list."""
    words = (vocabulary.decode([int(i)]).strip() for i in ids)
    return list(dict.fromkeys(word for word in words if any(c.isalpha() for c in word)))


def readings_of(vocabulary: Vocabulary, folder: Path, condition: str) -> dict[str, list[Words]]:
    """What every reading says of every prompt of a condition."""
    with safe_open(folder / f"{condition}.safetensors", "np") as file:
        rows, starts = file.get_tensor("rows"), json.loads(file.metadata()["starts"])
    table = vocabulary.rows(slice(None))
    found: dict[str, list[Words]] = {"nearest": [], "displacement": [], "displacement_centred": []}
    near = nearest_rows(rows.reshape(-1, rows.shape[2]), table, "cosine", k=3)
    near_ids = near.ids.reshape(len(rows), -1, 3)
    for one in near_ids:  # the first choices of all positions, then the second ones
        found["nearest"].append(tokens_as_words(vocabulary, one.T.ravel())[:WORDS])
    if all(start is not None for start in starts):
        began = np.stack([vocabulary.rows(np.array(start)) for start in starts])
        means = (rows - began).mean(1).astype(np.float32)
        for name, searched in (
            ("displacement", table),
            ("displacement_centred", table - table.mean(0)),
        ):
            ids = nearest_rows(means, searched, "cosine", k=60).ids
            found[name] = [tokens_as_words(vocabulary, one)[:WORDS] for one in ids]
    path = folder / f"{condition}.json"
    if path.exists():
        prompts = json.loads(path.read_text(encoding="utf-8"))["prompts"]
        found["promoted"] = [
            tokens_as_words(vocabulary, one["promoted"])[:WORDS] for one in prompts
        ]
        found["answers"] = [" ".join(one["answers"]).split()[:60] for one in prompts]
    return {name: said for name, said in found.items() if said}


def overlaps(said: Sequence[Words], texts: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    """Share of each text's content words that a reading says, [n, N]; near misses by rank."""
    wanted = [[_STEM(word.lower()) for word in text["words"]] for text in texts]
    scores = np.zeros((len(said), len(texts)))
    for i, words in enumerate(said):
        stems = {_STEM(word.lower()): rank for rank, word in reversed(list(enumerate(words)))}
        for j, stemmed in enumerate(wanted):
            ranks = [stems[stem] for stem in stemmed if stem in stems]
            # An earlier word decides between texts of which equal shares are said.
            scores[i, j] = len(ranks) / len(stemmed) - 1e-3 * min(ranks, default=0)
    return scores


def similarities(said: Sequence[Words], texts: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    """Cosine of sentence embeddings of readings and texts, [n, N]."""
    model = load_model("minilm", device="cpu")
    read = [" ".join(words) or "." for words in said]
    both = [*read, *(text["text"] for text in texts)]
    task = Task("t", "classification", "{text}", ("a", "b"))
    rows = prepare(model, task, [Example(text, 0) for text in both])
    states = []
    for start in range(0, len(rows), 32):
        states.append(model.embeddings(no_prompt(), rows[start : start + 32]).detach().numpy())
    unit = np.concatenate(states).astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit[: len(read)] @ unit[len(read) :].T


def retrieval(scores: NDArray[np.float64], right: NDArray[np.int64]) -> dict[str, Any]:
    """Top-1, top-5 and mean reciprocal rank with 95 % intervals over texts.

    A tie counts as its expected rank: a reading that says nothing finds nothing.
    """
    better, ties = places(scores, right)
    top = [np.clip((k - better) / ties, 0, 1) for k in (1, 5)]
    reciprocal = np.array(
        [np.mean(1 / np.arange(b + 1, b + t + 1)) for b, t in zip(better, ties, strict=True)]
    )
    texts = np.unique(right)
    draws = np.random.default_rng(0).integers(0, len(texts), (2000, len(texts)))
    found = {}
    for name, values in (("top1", top[0]), ("top5", top[1]), ("mrr", reciprocal)):
        by_text = np.array([values[right == text].mean() for text in texts])
        low, high = np.quantile(by_text[draws].mean(1), [0.025, 0.975])
        found[name] = {"value": float(values.mean()), "interval": [float(low), float(high)]}
    return found


def places(
    scores: NDArray[np.float64], right: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many texts score above the right one, and how many as it does (itself included), [n]."""
    own = scores[np.arange(len(right)), right][:, None]
    return (scores > own).sum(1), (scores == own).sum(1)


def by_kind(said: Sequence[Words], texts: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Top-1 by overlap of every kind of text."""
    right = np.arange(len(said)) % len(texts)
    better, ties = places(overlaps(said, texts), right)
    first = np.clip((1 - better) / ties, 0, 1)
    kinds = np.array([text["kind"] for text in texts])[right]
    return {str(kind): float(first[kinds == kind].mean()) for kind in dict.fromkeys(kinds)}


def main() -> None:
    """Print the table; write the rates that travel with `probe`."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--out", type=Path, required=True, help="what known_texts has kept")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--controls", action="store_true", help="write the controls instead")
    args = parser.parse_args()
    if args.controls:
        write_controls(args.model, args.out)
        return
    texts = [json.loads(line) for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    vocabulary = load_vocabulary(args.model)
    said: dict[tuple[str, str], list[Words]] = {
        ("check", "the text itself"): [text["text"].split() for text in texts],
        ("check", "random tokens"): _random_words(vocabulary, len(texts) * 2),
    }
    for condition in CONDITIONS:
        if (args.out / f"{condition}.safetensors").exists():
            for name, words in readings_of(vocabulary, args.out, condition).items():
                said[condition, name] = words
    every = [words for group in said.values() for words in group]
    scored = {"overlap": overlaps(every, texts), "semantic": similarities(every, texts)}
    rates, start = [], 0
    for (condition, reading), group in said.items():
        right = np.arange(len(group)) % len(texts)
        for scorer, scores in scored.items():
            found = retrieval(scores[start : start + len(group)], right)
            facts = {"condition": condition, "reading": reading, "scorer": scorer}
            rates.append(facts | {"prompts": len(group), "texts": len(texts)} | found)
            cells = [
                f"{one['value']:.3f} ({one['interval'][0]:.2f} to {one['interval'][1]:.2f})"
                for one in found.values()
            ]
            print(f"| {condition} | {reading} | {scorer} | {' | '.join(cells)} |", flush=True)
        start += len(group)
    if args.write:
        kinds = {
            name: by_kind(words, texts)
            for (condition, name), words in said.items()
            if condition == "base"
        }
        written = {
            "model": args.model,
            "table_sha256": vocabulary.fingerprint,
            "kinds": kinds,
            "rates": rates,
        }
        RATES.write_text(json.dumps(written, indent=1) + "\n")


def write_controls(model: str, folder: Path) -> None:
    """Write what readings say of prompts trained on nothing, prompt by prompt, seed by seed."""
    vocabulary = load_vocabulary(model)
    allowed = token_filter(vocabulary, ("special", "byte", "unused"))
    with safe_open(folder / "nothing.safetensors", "np") as file:
        rows, starts = file.get_tensor("rows"), json.loads(file.metadata()["starts"])
    found = []
    for own, ids in zip(rows, starts, strict=True):
        start = StartRows(
            vocabulary.rows(np.array(ids)), np.arange(len(ids)), tuple(ids), "recorded"
        )
        found.append(
            displacement(SoftPrompt("nothing", own), vocabulary, start, k=1, allowed=allowed)
        )
    prompts = json.loads((folder / "nothing.json").read_text(encoding="utf-8"))["prompts"]
    statistics = {
        "displacement": [round(float(one.near_mean.scores[0, 0]), 5) for one in found],
        "promoted": [one["promoted_nats"][0] for one in prompts],
    }
    document = {
        "model": model,
        "table_sha256": vocabulary.fingerprint,
        "length": int(rows.shape[1]),
        "statistics": statistics,
        "sign_flip_p": [one.sign_flip_p for one in found],
    }
    CONTROLS.write_text(json.dumps(document) + "\n", encoding="utf-8")


def _random_words(vocabulary: Vocabulary, count: int) -> list[Words]:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(vocabulary), (count, 3 * WORDS))
    return [tokens_as_words(vocabulary, ids)[:WORDS] for ids in drawn]


if __name__ == "__main__":
    main()
