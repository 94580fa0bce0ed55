"""How often a reading found the text that a prompt was distilled from, on models where counted.

Rates travel with `probe`, and `probe bench readings` keeps those of other models in the workspace.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from probe.atomic import make_private
from probe.prompt import AnyPrompt
from probe.results import Result
from probe.store import Workspace, keep_file
from probe.vocabulary import Vocabulary

COUNTED_ON = ("smollm2", "builtin")
"""Models whose rates travel with `probe`."""
_FOLDER = "hit_rates"
SCORER = "overlap"
"""By the content words of a text among a reading's words; the other scorer is `semantic`."""
_BASE, _LENGTH, _START = "base", "length_", "start_"
_BASE_LENGTH, _LIKE = 8, 4
"""Rows of the base condition; prompts up to four times as long or short are told its rate."""
_VOCAB, _TEXT = "vocab", "text"
_STARTS = {
    _VOCAB: "random tokens",
    _TEXT: "a text",
    "labels": "label words",
    "random": "random numbers",
    "prompt": "another prompt",
}
"""Kinds of start, as `TrainConfig.init` names them, in words."""
_PEFT_STARTS = {"TEXT": _TEXT, "SAMPLE_VOCAB": _VOCAB, "RANDOM": "random"}

Rates = Mapping[str, Any]
"""What a study counted: the model, the digest of its table, and rates by condition, reading and
scorer."""


@dataclass(frozen=True)
class HitRate(Result):
    """Share of known texts that a reading ranked first among all of them."""

    model: str
    condition: str
    """Under which prompts were trained; `docs/readings.md` lists them."""
    scorer: str
    top1: float
    interval: tuple[float, float]
    """95 %, over texts."""
    texts: int
    """Among which each was looked for."""
    tried: int
    """Of these, how many prompts were distilled from."""
    prompts: int
    start: str
    """Where the rows of these prompts started: vocab, text, …, as `TrainConfig.init` has it."""
    own_start: str | None
    """Where those of the prompt that is read did; None where its file does not say."""

    @property
    def named(self) -> int:
        """Texts found, out of those that were tried."""
        return round(self.top1 * self.tried)

    @property
    def chance(self) -> float:
        """Share that words at random would find."""
        return 1 / self.texts

    @property
    def sentence(self) -> str:
        """The rate in words."""
        told = (
            f"This reading named {self.named} of {self.tried} known texts that were distilled on "
            f"this model (chance {self.tried / self.texts:.2g}), of prompts that start at "
            f"{'an unrelated text' if self.start == _TEXT else _STARTS[self.start]}."
        )
        if self.own_start in (None, self.start):
            return told
        return f"{told} This one starts at {_STARTS[self.own_start]}; none such was counted."

    def _document(self) -> dict[str, Any]:
        return {**super()._document(), "named": self.named, "chance": self.chance}


@cache
def measured(model: str = COUNTED_ON[0]) -> dict[str, Any]:
    """Every rate on a model that travels with `probe`, with the digest of the model's table."""
    path = Path(__file__).parent / f"hit_rates_{model}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def keep_rates(workspace: Workspace, rates: Rates) -> None:
    """Keep what was counted on a model; what was counted before among more texts stays.

    Raises:
        OSError: the workspace cannot be written.
    """
    path = _place(workspace, str(rates["table_sha256"]))
    before: Rates = next(iter(_kept(path)), {"rates": [], "controls": {}})
    merged = {_which(one): one for one in before["rates"]}
    own = [one for one in rates["rates"] if _more(one, merged.get(_which(one)))]
    merged |= {_which(one): one for one in own}
    controls: dict[str, Any] = dict(before.get("controls", {}))
    for reading, values in rates["controls"].items():
        controls[reading] = max(values, controls.get(reading, ()), key=len)
    kinds = _kinds(rates, before, {str(one["reading"]) for one in own})
    kept = {**rates, **kinds, "rates": list(merged.values()), "controls": controls}
    make_private(path.parent)
    keep_file(path, json.dumps(kept, indent=1, allow_nan=False).encode())


def _more(rate: Rates, before: Rates | None) -> bool:
    return before is None or before["tried"] <= rate["tried"]


def _kinds(rates: Rates, before: Rates, readings: Collection[str]) -> dict[str, Any]:
    """Rates by kind of text, all of one condition: the first that was counted."""
    of = before.get("kinds_of") or rates["kinds_of"]
    found = dict(before.get("kinds", {}))
    if of == rates["kinds_of"]:
        found |= {name: kinds for name, kinds in rates["kinds"].items() if name in readings}
    return {"kinds_of": of, "kinds": found}


def _which(rate: Rates) -> tuple[object, ...]:
    return tuple(rate.get(key) for key in ("condition", "reading", "scorer", "share_explained"))


def rates_on(vocabulary: Vocabulary, workspace: Workspace | None = None) -> list[Rates]:
    """What was counted on a model: what travels with `probe`, then what the workspace has."""
    found: list[Rates] = [measured(model) for model in COUNTED_ON]
    if workspace is not None:
        found += _kept(_place(workspace, vocabulary.fingerprint))
    return [one for one in found if one.get("table_sha256") == vocabulary.fingerprint]


def start_kind(prompt: AnyPrompt) -> str | None:
    """Where a prompt's rows started: vocab, text, labels, random, prompt; None if untold."""
    training = prompt.config.get("training")
    told = training.get("init") if isinstance(training, dict) else None
    if told is None:
        told = _PEFT_STARTS.get(str(prompt.config.get("prompt_tuning_init")))
    kind = str(told).partition(":")[0]
    return kind if kind in _STARTS else None


def hit_rate(
    reading: str, length: int, counted: Sequence[Rates], start: str | None = None
) -> HitRate | None:
    """The rate of a reading on prompts of about this length; None where it was not counted.

    Prompts that start alike come first, then those nearest in length. Of several counts that of
    the most texts is told, and of equal ones the last.

    Args:
        reading: its name.
        length: rows of the prompt, P.
        counted: on the prompt's model.
        start: its kind, from `start_kind`; where that is not known, random tokens are assumed.
    """
    found = [one for rates in counted if (one := _rate(reading, length, rates, start)) is not None]
    like = start or _VOCAB
    return max(reversed(found), key=lambda one: (one.start == like, one.tried), default=None)


def _rate(reading: str, length: int, rates: Rates, start: str | None) -> HitRate | None:
    near = [
        (of[1] != (start or _VOCAB), of[1] != _VOCAB, abs(math.log(of[0] / length)), of[1], one)
        for one in rates["rates"]
        if (one["reading"], one["scorer"], one.get("share_explained")) == (reading, SCORER, None)
        and (of := _rows_and_start(one["condition"])) is not None
    ]
    near = [one for one in near if one[2] <= math.log(_LIKE) + 1e-9]
    if not near:
        return None
    *_, began, one = min(near, key=lambda found: found[:3])
    low, high = one["top1"]["interval"]
    return HitRate(
        str(rates["model"]),
        one["condition"],
        SCORER,
        one["top1"]["value"],
        (low, high),
        one["texts"],
        one["tried"],
        one["prompts"],
        began,
        start,
    )


def _rows_and_start(condition: str) -> tuple[int, str] | None:
    """Rows and start of the prompts of a condition that differs from the base in these at most."""
    rows, start = _BASE_LENGTH, _VOCAB
    for part in condition.split("+"):
        if part.startswith(_START):
            start = part.removeprefix(_START).partition(":")[0]
            if start not in _STARTS:
                return None
        elif part.startswith(_LENGTH) and part.removeprefix(_LENGTH).isdecimal():
            rows = int(part.removeprefix(_LENGTH))
        elif part != _BASE:
            return None
    return rows, start


def _place(workspace: Workspace, fingerprint: str) -> Path:
    return workspace.root / _FOLDER / f"{fingerprint[:32]}.json"


def _kept(path: Path) -> list[Rates]:
    """The rates of a file; none where there is none, or it is damaged."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for one in found["rates"]:
            float(one["top1"]["value"]), tuple(map(float, one["top1"]["interval"]))
            int(one["texts"]), int(one["tried"]), int(one["prompts"]), str(one["condition"])
        for values in found.get("controls", {}).values():
            tuple(map(float, values))
        return [found]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
