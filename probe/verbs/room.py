"""Whether prompt, template and labels fit a model, found by its tokenizer before it is loaded.

Counts are the least that the model's own rows can have, so that nothing that fits is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from probe.datasets import sample
from probe.errors import TrainingError
from probe.requests.train_config import DEFAULT_LENGTH, TrainConfig
from probe.tables import ModelFacts, load_vocabulary
from probe.task import Example, Task
from probe.template import (
    RowError,
    Template,
    every_word,
    read_template,
    require_room,
    require_slots_in_front,
)
from probe.training.checks import asked_length, placed, require_one_length, split_of
from probe.vocabulary import TextCodec


def check_room(
    task: Task,
    config: TrainConfig,
    model: ModelFacts,
    *,
    start: int | None = None,
    test_examples: int = 0,
) -> None:
    """Refuse a prompt, a template or labels that leave no room, and texts without a token.

    Args:
        task: with its examples.
        config: how to train.
        model: what is known of it.
        start: virtual tokens of the prompt that training begins from, where it is one.
        test_examples: at most so many score the finished prompt.

    Raises:
        TrainingError: a text to start from, to stay near to or to learn from has no tokens, or two
            sources name different numbers of virtual tokens.
        RowError: something does not fit the model, nothing stands before a label, or prompt rows
            stand behind it where the model reads nothing.
    """
    task = placed(task, config)
    template = read_template(task)
    if model.kind == "causal":
        require_slots_in_front(task, template)
    train, validation = split_of(task, config)
    read = [*train, *validation, *sample(task.test, test_examples)]
    targets = [example.target for example in read if example.target is not None]
    blank = model.kind == "causal" and any(_is_blank(template, example) for example in read)
    if not (blank or _near_its_limit([*every_word(task), *targets], task, config, model)):
        return  # reading a tokenizer takes a moment
    codec = load_vocabulary(model.source).codec
    if codec is None:
        return
    length = _length(config, codec, start)
    if model.positions is not None:
        require_room(length, model.positions)
        _require_fit(task, template, targets, codec, model, model.positions - length)
    if blank and not _has_beginning(codec):
        raise RowError(
            f"task {task.name}: nothing stands before the label to predict it from: put text in "
            "the template"
        )


def _near_its_limit(
    answers: Sequence[str], task: Task, config: TrainConfig, model: ModelFacts
) -> bool:
    """Whether texts are named that must be counted, or a quarter of all positions is asked for."""
    if config.target is not None or config.teacher or config.init.startswith("text:"):
        return True
    known = len(task.template.encode()) + max((len(word.encode()) for word in answers), default=0)
    return model.positions is not None and known + (config.length or 0) > model.positions // 4


def _is_blank(template: Template, example: Example) -> bool:
    return not "".join(template.before.fill(example.values)).strip()


def _length(config: TrainConfig, codec: TextCodec, start: int | None) -> int:
    """Virtual tokens of the prompt, or of its teacher's text where that is longer."""
    asked = {"length": asked_length(config)}
    if config.target is not None:
        asked["target"] = _tokens(codec, config.target)
    kind, _, argument = config.init.partition(":")
    written = _tokens(codec, argument) if kind == "text" else start
    length = require_one_length(asked) or written or DEFAULT_LENGTH
    return max(length, _tokens(codec, config.teacher) if config.teacher else 0)


def _tokens(codec: TextCodec, text: str) -> int:
    if not (ids := codec.encode(text)):
        raise TrainingError(f"expected a text with at least one token, found {text!r}")
    return len(ids)


def _require_fit(
    task: Task,
    template: Template,
    targets: Sequence[str],
    codec: TextCodec,
    model: ModelFacts,
    room: int,
) -> None:
    """Refuse a template that leaves no text, with every text cut to nothing."""
    *first, stem = template.before.fill(dict.fromkeys(task.columns, ""))
    fixed = sum(len(codec.encode(piece)) for piece in first)
    needed = fixed + len(codec.encode(stem))
    spare = len(task.columns)  # a token may merge with text and be none of its own
    for answer in every_word(task) if task.kind == "classification" else targets:
        if len(answer.encode()) * 4 < room - needed:
            continue
        if model.kind is None:  # its labels stand elsewhere
            needed = max(needed, len(codec.encode(answer)))
        else:
            needed = max(needed, fixed + len(codec.encode(stem + template.separator + answer)))
    if needed - spare > room:
        answer = "label" if task.kind == "classification" else "target"
        raise RowError(
            f"the template and its longest {answer} need {needed - room:,} positions more than the "
            f"{room:,} the model has left for them: shorten the template, the {answer} or the "
            "prompt"
        )


def _has_beginning(codec: TextCodec) -> bool:
    """Whether the model reads a token of its own in front of every text."""
    full = codec.encode_special("a")
    return full is None or full[:1] != codec.encode("a")[:1]
