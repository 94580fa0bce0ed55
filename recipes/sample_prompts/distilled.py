"""Sample prompts of known meaning: 24 of the prompts that the study of readings distils from texts.

    probe bench readings --model smollm2 --dtype bfloat16 --at-once 64 --out build/readings
    python -m recipes.sample_prompts.distilled --prompts build/readings/prompts --out DIR

Only the choosing and the writing are done here. A prompt stands in the system message of the
model's chat template, where PEFT cannot put it, so it is written as `prompt.safetensors`.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import probe
from probe.distillation.known_texts import read_known_texts
from probe.formats import save
from probe.prompt import SoftPrompt
from probe.studies.distilled import KNOWN_TEXT
from recipes.sample_prompts.manifest import read_entries, write_entries

MODEL, LENGTH = "smollm2", 8
COMMAND = "probe bench readings --model smollm2 --dtype bfloat16 --at-once 64"
CHOSEN = {
    "dogs": 0,
    "money": 3,
    "war": 7,
    "trains": 12,
    "chess": 15,
    "french": 16,
    "spanish": 17,
    "german": 18,
    "italian": 19,
    "latin": 20,
    "shakespeare": 21,
    "pirate": 22,
    "doctor": 23,
    "teacher": 24,
    "king": 27,
    "wizard": 32,
    "poem": 39,
    "python": 40,
    "letter": 42,
    "dialogue": 43,
    "love": 51,
    "joke": 53,
    "country": 60,
    "year": 62,
}
"""Name and number of the known text: all kinds of texts, each explained to 0.8 or more."""


def chosen_prompts(folder: Path) -> dict[str, SoftPrompt]:
    """One prompt of every chosen text, under the names of samples.

    Args:
        folder: of prompts distilled under the usual condition, as the study leaves them.
    """
    texts, found = read_known_texts(), {}
    by_text = {
        one.config[KNOWN_TEXT]: one
        for path in sorted(folder.glob("*.safetensors"), reverse=True)
        for one in probe.load(path)
        if isinstance(one, SoftPrompt) and len(one) == LENGTH
    }
    for short, number in CHOSEN.items():
        name = f"{MODEL}-distilled-{short}"
        found[name] = _sample(by_text[texts[number].text].renamed(name))
    return found


def _sample(prompt: SoftPrompt) -> SoftPrompt:
    kept = ("family", "template", "training", "model_sha256")
    config = {key: prompt.config[key] for key in kept}
    return dataclasses.replace(prompt, metrics=_metrics(prompt.metrics), config=config)


def entry(prompt: SoftPrompt, text: str) -> dict[str, Any]:
    """What the manifest says of a distilled prompt."""
    training = prompt.config["training"]
    kept = ("method", "init", "steps", "learning_rate", "batch_size", "seed", "objective")
    return {
        "name": prompt.name,
        "task": prompt.task,
        "about": f"has the effect of “{text}”",
        "base_model": prompt.base_model,
        "method": prompt.method,
        "length": len(prompt),
        "how_made": "prompt tuning, distilled from this text in the system message, with probe",
        "template": prompt.config["template"],
        "training": {key: training[key] for key in kept} | {"teacher": text},
        "metrics": dict(prompt.metrics),
        "command": COMMAND,
        "model_sha256": prompt.config["model_sha256"],
    }


def _metrics(found: Mapping[str, Any]) -> dict[str, Any]:
    low, high = found["share_explained_interval"]
    return {
        "share_explained": round(found["share_explained"], 4),
        "interval": [round(low, 4), round(high, 4)],
        "kl_nats": round(found["kl_nats"], 4),
        "kl0_nats": round(found["kl0_nats"], 4),
        "contexts": found["contexts"],
    }


def main() -> None:
    """Write the chosen prompts and their entries."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prompts", type=Path, required=True, help="those of the study")
    parser.add_argument("--out", type=Path, required=True, help="folder of prompts and manifest")
    args = parser.parse_args()
    entries = read_entries(args.out)
    for name, prompt in chosen_prompts(args.prompts).items():
        (args.out / name).mkdir(parents=True, exist_ok=True)
        save(prompt, args.out / name / "prompt.safetensors", to="safetensors")
        entries[name] = entry(prompt, str(prompt.config["training"]["teacher"]))
    write_entries(args.out, entries)


if __name__ == "__main__":
    main()
