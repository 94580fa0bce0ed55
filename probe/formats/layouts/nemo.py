"""NeMo: a `.nemo` tar of `model_config.yaml` and `model_weights.ckpt`, one prompt per task.

Trained in tensor parallel it has one `mp_rank_NN/model_weights.ckpt` per rank, each whole.

`MegatronBasePromptLearningModel.state_dict` keeps the prompt table alone, P-tuned prompts already
baked in; older files spell the table's keys out at the top level
(nemo/collections/nlp/models/language_modeling/megatron_base_prompt_learning_model.py). In later
releases the table is a cache: validation fills it, the next training step sets it to zero.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.build import Card, require_few, soft_prompt, take, text
from probe.formats.containers.json_yaml import read_yaml
from probe.formats.content import Content, document_beside, open_content, opened
from probe.formats.pickle.reader import read_pickle
from probe.formats.refusal import shown
from probe.formats.weights import brief, left_out
from probe.prompt import AnyPrompt, Method

WEIGHTS_FILE = "model_weights.ckpt"
_CONFIG_FILE = "model_config.yaml"
_MOST_RANKS = 256
_RANK = re.compile(r"(?:tp_rank|mp_rank)_\d+(?:_pp_rank_\d+)?")
_WEIGHTS = re.compile(rf"(?:{_RANK.pattern}/)?{re.escape(WEIGHTS_FILE)}")
_TABLE_KEY = re.compile(
    r"^(?P<place>.*\.)?(?:prompt_table\.(?P<task>.+)\.prompt_embeddings\.weight"
    r"|(?P<adapter>ptuning_adapter)\.inference_table)$"
)
"""The second is that of NeMo's later adapters (`megatron_gpt_peft_models`), which have one task."""
_METHODS: dict[str, Method] = {"p-tuning": "p_tuning", "prompt-tuning": "prompt_tuning"}


def read(content: Content) -> list[AnyPrompt] | None:
    """One prompt per task of the table, None for a file that has none.

    Raises:
        PromptFormatError: the archive has no weights, weights without a prompt table, or ranks
            that hold parts of a table.
    """
    if content.container == "tar":
        return _from_archive(content)
    if content.path.name != WEIGHTS_FILE:
        return _from_table(content, {})
    config = document_beside(content, _CONFIG_FILE)
    if not _RANK.fullmatch(_folder(content).name):
        return _from_table(content, config)
    whole = _whole(content, [partial(open_content, path) for path in _ranks(_folder(content))])
    above = document_beside(content, f"../{_CONFIG_FILE}")
    return _from_table(whole, config or above) if whole else None


def first_rank(folders: Sequence[Path]) -> Path | None:
    """The weights of an unpacked archive's first rank, None where there are no ranks."""
    ranks = (path / WEIGHTS_FILE for path in folders if _RANK.fullmatch(path.name))
    return next((path for path in ranks if path.is_file()), None)


def _from_archive(content: Content) -> list[AnyPrompt]:
    members = content.value if isinstance(content.value, Mapping) else {}
    by_name = {str(name).removeprefix("./"): data for name, data in members.items()}
    found = sorted(name for name in by_name if _WEIGHTS.fullmatch(name))
    if not found:
        raise PromptFormatError(
            f"{content.path}: expected a NeMo archive with {WEIGHTS_FILE}, found "
            f"{', '.join(brief(name) for name in sorted(by_name)[:5]) or 'no file'}"
        )
    whole = _whole(content, [partial(_member, content, by_name[name]) for name in found])
    if whole is None:
        raise PromptFormatError(f"{content.path}: its weights hold no prompt table")
    config = opened(content.path, read_yaml, by_name.get(_CONFIG_FILE, b"{}"))
    return _from_table(whole, config if isinstance(config, Mapping) else {}) or []


def _member(content: Content, data: bytes) -> Content:
    return content.inside(opened(content.path, read_pickle, data))


def _ranks(folder: Path) -> list[Path]:
    """The weights of every rank beside a rank's folder."""
    ranks = (path / WEIGHTS_FILE for path in folder.parent.iterdir() if _RANK.fullmatch(path.name))
    return sorted(path for path in ranks if path.is_file())


def _whole(content: Content, ranks: Sequence[Callable[[], Content]]) -> Content | None:
    """The first rank that has a prompt table, once all that have one agree.

    Tensor-parallel ranks never split the table (`PromptEmbedding` is a plain embedding); of
    pipeline stages only the first has one. One is in memory at a time.
    """
    if len(ranks) > _MOST_RANKS:
        raise PromptFormatError(f"{content.path}: {len(ranks)} ranks, expected {_MOST_RANKS}")
    marks = [_marks(rank()) for rank in ranks]
    holders = [place for place, mark in enumerate(marks) if mark]
    if not holders:
        return None
    first = marks[holders[0]]
    for place in holders[1:]:
        _require_same(content, first, marks[place])
    return ranks[holders[0]]()


def _marks(rank: Content) -> dict[str, tuple[Any, ...]]:
    """Shape and digest of every task's rows."""
    table = _table(rank)
    require_few(rank, len(table))
    take(rank, "prompt tables", sum(rows.nbytes for rows in table.values()))
    return {
        task: (*rows.shape, hashlib.sha256(rows.tobytes()).hexdigest())
        for task, rows in table.items()
    }


def _require_same(
    content: Content, first: Mapping[str, tuple[Any, ...]], other: Mapping[str, tuple[Any, ...]]
) -> None:
    """Refuse ranks of which each holds a part."""
    for task in [*first, *other]:
        found = [table[task][:-1] if task in table else "none" for table in (first, other)]
        if first.get(task) != other.get(task):
            raise PromptFormatError(
                f"{content.path}: its ranks hold different rows for {shown(task)} ({found[0]} and "
                f"{found[1]}), so each is a part: merge them with NeMo's "
                "megatron_change_num_partitions.py to one partition, and read what it writes"
            )


def _from_table(content: Content, config: Mapping[str, Any]) -> list[AnyPrompt] | None:
    tasks = _table(content)
    if not tasks:
        return None
    require_few(content, len(tasks))
    if emptied := [task for task, rows in tasks.items() if rows.size and not rows.any()]:
        raise PromptFormatError(
            f"{content.path}: the table of {shown(emptied[0])} is all zeros: NeMo fills it when it "
            "validates and empties it at the next training step; validate, then save"
        )
    used = [key for key in content.tensors if _TABLE_KEY.search(key)]
    card = Card(
        name=_name(content),
        reader="nemo",
        base_model=text(config, "language_model_path"),
        method=_METHODS.get(text(config, "virtual_prompt_style") or "", "unknown"),
        config=config,
        left_out=left_out(content.tensors, used),
    )
    return [
        soft_prompt(content, rows, replace(card, name=f"{card.name}-{task}", task=task))
        for task, rows in tasks.items()
    ]


def _table(content: Content) -> dict[str, NDArray[Any]]:
    """Rows by task."""
    matches = [match for key in content.tensors if (match := _TABLE_KEY.search(key))]
    times = Counter(match["task"] or match["adapter"] for match in matches)
    return {_called(match, times): content.tensors[match.string] for match in matches}


def _called(match: re.Match[str], times: Mapping[str, int]) -> str:
    """A table's task, behind the table's place where another is of that task too."""
    task = match["task"] or match["adapter"]
    return task if times[task] == 1 else f"{match['place'] or ''}{task}"


def _folder(content: Content) -> Path:
    return content.path.absolute().parent


def _name(content: Content) -> str:
    """The file's name; of an unpacked rank its archive's folder."""
    folder = _folder(content)
    return folder.parent.name if _RANK.fullmatch(folder.name) else content.name
