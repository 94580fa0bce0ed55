"""Sample prompts of known meaning: 24 of the prompts that `recipes.readings` distils from texts.

    python -m recipes.readings.known_texts train --conditions base --out build/readings
    python -m recipes.readings.known_texts measure --conditions base --out build/readings
    python -m recipes.sample_prompts.distilled --known build/readings --out build/sample_prompts

Only the choosing and the writing are done here. A prompt stands in the system message of the
model's chat template, where PEFT cannot put it, so it is written as `prompt.safetensors`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from probe.distillation import distillation_config, frame_of
from probe.formats import save
from probe.models import FrozenModel, load_model
from probe.prompt import SoftPrompt
from recipes.readings.known_texts import read_texts
from recipes.sample_prompts.manifest import read_entries, write_entries

MODEL, CONDITION = "smollm2", "base"
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


def distilled_prompt(
    name: str,
    number: int,
    text: str,
    rows: NDArray[np.float32],
    starts: list[int],
    explained: dict[str, Any],
    model: FrozenModel,
) -> SoftPrompt:
    """One prompt with the text it was distilled from and the share of its effect that it has.

    Args:
        name: of the sample.
        number: of the known text; its training's seed, as all were of the first set of answers.
        text: what the teacher read.
        rows: [P, H].
        starts: token ids the rows started from.
        explained: the share and its parts, as `Explained.to_json` gives them.
        model: teacher and student.
    """
    config = distillation_config(text, len(rows), seed=number)
    return SoftPrompt(
        name=name,
        embeddings=rows,
        base_model=MODEL,
        task="distilled",
        method="prompt_tuning",
        init_token_ids=tuple(starts),
        metrics=_metrics(explained),
        config={
            "family": model.family,
            "template": frame_of(model).with_rows(len(rows)),
            "training": config.to_dict(),
            "model_sha256": model.fingerprint,
        },
    )


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
        "command": "python -m recipes.readings.known_texts train --conditions base "
        "--out build/readings",
        "model_sha256": prompt.config["model_sha256"],
    }


def _metrics(explained: dict[str, Any]) -> dict[str, Any]:
    low, high = explained["interval"]
    return {
        "share_explained": round(explained["share"], 4),
        "interval": [round(low, 4), round(high, 4)],
        "kl_nats": round(explained["kl_nats"], 4),
        "kl0_nats": round(explained["kl0_nats"], 4),
        "contexts": explained["contexts"],
    }


def main() -> None:
    """Write the chosen prompts and their entries."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--known", type=Path, required=True, help="folder of recipes.readings")
    parser.add_argument("--out", type=Path, required=True, help="folder of prompts and manifest")
    args = parser.parse_args()
    with safe_open(args.known / f"{CONDITION}.safetensors", "np") as file:
        rows, starts = file.get_tensor("rows"), json.loads(file.metadata()["starts"])
    measured = json.loads((args.known / f"{CONDITION}.json").read_text())["prompts"]
    texts, model, entries = read_texts(), load_model(MODEL), read_entries(args.out)
    for short, number in CHOSEN.items():
        name = f"{MODEL}-distilled-{short}"
        facts = measured[number]["explained"]
        prompt = distilled_prompt(
            name, number, texts[number], rows[number], starts[number], facts, model
        )
        (args.out / name).mkdir(parents=True, exist_ok=True)
        save(prompt, args.out / name / "prompt.safetensors", to="safetensors")
        entries[name] = entry(prompt, texts[number])
    write_entries(args.out, entries)


if __name__ == "__main__":
    main()
