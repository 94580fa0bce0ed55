"""NeMo: a `.nemo` tar of `model_config.yaml` and `model_weights.ckpt`, one prompt per task.

`MegatronBasePromptLearningModel.state_dict` keeps the prompt table alone, P-tuned prompts already
baked in; older files spell the table's keys out at the top level
(nemo/collections/nlp/models/language_modeling/megatron_base_prompt_learning_model.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from probe.errors import PromptFormatError
from probe.formats.build import Card, require_few, soft_prompt, text
from probe.formats.content import Content, document_beside, opened
from probe.formats.documents import read_yaml
from probe.formats.pickles import read_pickle
from probe.prompt import AnyPrompt, Method

WEIGHTS_FILE = "model_weights.ckpt"
_CONFIG_FILE = "model_config.yaml"
_TABLE_KEY = re.compile(r"^(?:.*\.)?prompt_table\.(?P<task>.+)\.prompt_embeddings\.weight$")
_METHODS: dict[str, Method] = {"p-tuning": "p_tuning", "prompt-tuning": "prompt_tuning"}


def read(content: Content) -> list[AnyPrompt] | None:
    """One prompt per task of the table, None for a file that has none.

    Raises:
        PromptFormatError: the archive has no weights, or weights without a prompt table.
    """
    if content.container == "tar":
        return _from_archive(content)
    unpacked = content.path.name == WEIGHTS_FILE
    return _from_table(content, document_beside(content, _CONFIG_FILE) if unpacked else {})


def _from_archive(content: Content) -> list[AnyPrompt]:
    members = content.value if isinstance(content.value, Mapping) else {}
    by_name = {str(name).removeprefix("./"): data for name, data in members.items()}
    if WEIGHTS_FILE not in by_name:
        raise PromptFormatError(
            f"{content.path}: expected a NeMo archive with {WEIGHTS_FILE}, found "
            f"{', '.join(sorted(by_name)[:5]) or 'no file'}"
        )
    weights = opened(content.path, read_pickle, by_name[WEIGHTS_FILE])
    config = opened(content.path, read_yaml, by_name.get(_CONFIG_FILE, b"{}"))
    prompts = _from_table(content.inside(weights), config if isinstance(config, Mapping) else {})
    if prompts is None:
        raise PromptFormatError(f"{content.path}: its weights hold no prompt table")
    return prompts


def _from_table(content: Content, config: Mapping[str, Any]) -> list[AnyPrompt] | None:
    matches = {key: _TABLE_KEY.search(key) for key in content.tensors}
    tasks = {match["task"]: content.tensors[key] for key, match in matches.items() if match}
    if not tasks:
        return None
    require_few(content, len(tasks))
    card = Card(
        name=content.name,
        reader="nemo",
        base_model=text(config, "language_model_path"),
        method=_METHODS.get(text(config, "virtual_prompt_style") or "", "unknown"),
        config=config,
    )
    return [
        soft_prompt(content, rows, replace(card, name=f"{card.name}-{task}", task=task))
        for task, rows in tasks.items()
    ]
