"""Contextualised soft prompts: trained inside sentences ("Be {sp}."), distilled from a persona.

`torch.save` of the rows as `embedding` beside what they were trained for: `persona`, `polarity`,
`frame_pool`, `final_kl`, `kl_curve`, `config` (kmaherx/csp_arithmetic, train.py; kmaherx/csp-div,
training.py). Kept as safetensors, the same facts stand in the header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from probe.formats.build import Card, soft_prompt, without_batch
from probe.formats.content import Content
from probe.formats.weights import left_out
from probe.prompt import AnyPrompt
from probe.texts import as_json

_ROWS = ("embedding", "embeddings", "soft_prompt", "prompt")
_TELLING = {"persona", "polarity", "frame_pool", "final_kl", "kl_curve", "fraction_explained"}
_MEASURED = {"final_kl", "baseline_kl", "eval_kl", "fraction_explained"}
_PLACE = "{sp}"


def read(content: Content) -> list[AnyPrompt] | None:
    """The rows with what is told of them, None for any other file."""
    facts = _facts(content)
    key = next((name for name in _ROWS if name in content.tensors), None)
    if key is None or len(_TELLING & facts.keys()) < 2:
        return None
    rows = without_batch(content.tensors[key])
    config = {name: value for name, value in facts.items() if name not in _MEASURED | {"config"}}
    if isinstance(settings := facts.get("config"), Mapping):
        config = {**settings, **config}
    card = Card(
        name=_name(content, facts),
        reader="contextualised",
        method="prompt_tuning",
        metrics={name: facts[name] for name in facts.keys() & _MEASURED if facts[name] is not None},
        config=config | _template(facts, len(rows) if rows.ndim else 0),
        left_out=left_out(content.tensors, [key]),
    )
    return [soft_prompt(content, rows, card)]


def _facts(content: Content) -> Mapping[str, Any]:
    """What the file tells beside its tensors, as JSON could hold it."""
    if content.container == "safetensors":
        return {key: _parsed(value) for key, value in content.metadata.items()}
    if content.container != "pickle" or not isinstance(content.value, Mapping):
        return {}
    plain = {k: v for k, v in content.value.items() if not isinstance(v, np.ndarray)}
    facts: dict[str, Any] = as_json(plain)
    return facts


def _parsed(value: str) -> Any:
    """A header's text, or the number or list it spells."""
    with suppress(ValueError, RecursionError):
        return as_json(json.loads(value))
    return value


def _name(content: Content, facts: Mapping[str, Any]) -> str:
    """The persona and the file's own name, which tells polarity and step."""
    persona = facts.get("persona")
    return f"{persona}-{content.name}" if isinstance(persona, str) and persona else content.name


def _template(facts: Mapping[str, Any], rows: int) -> dict[str, str]:
    """The first sentence they were trained in, as a template: behind the text, as trained."""
    pool = facts.get("frame_pool")
    first = pool[0] if isinstance(pool, list) and pool else None
    if not isinstance(first, str) or first.count(_PLACE) != 1 or not rows:
        return {}
    around = first.replace(_PLACE, "")
    if "{" in around or "}" in around:
        return {}
    return {"template": "{text} " + first.replace(_PLACE, f"{{prompt:{rows}}}")}
