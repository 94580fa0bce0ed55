"""The form of a training run: four fields with defaults that work, a model, and a drawer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from dashboard.shared.markdown import plain
from dashboard.shared.resources import known_tasks, library
from probe.datasets import load_wording
from probe.errors import TrainingError
from probe.store import RunConfig
from probe.tables import ALWAYS_NAMED, default_model
from probe.training import TrainConfig
from probe.training.command_line import arguments, field_help, written
from probe.training.config import Encoder
from probe.training.methods import METHODS, injects_prefix
from probe.training.recommended import with_recommended

_STEPS = 400
_OBJECTIVES = ("full", "label_words", "paper")
_SCHEDULES = ("linear", "constant", "cosine")
_OPTIMISERS = ("adamw", "adafactor")
_STARTS = {
    "vocab": "sampled tokens",
    "labels": "label words",
    "text": "your own text",
    "random": "noise",
    "prompt": "another prompt",
}
_SWITCHES = {"projection": "Train through an MLP", "tie_layers": "Tie layers"}
_HELP = field_help()
_DEFAULTS = TrainConfig()


@dataclass(frozen=True)
class Wanted:
    """What the form asks for."""

    model: str
    task: str
    name: str
    data_dir: str | None
    config: TrainConfig

    @property
    def command(self) -> tuple[str, ...]:
        """The command line that asks for the same run."""
        pairs = {"--model": self.model, "--task": self.task, "--data-dir": self.data_dir,
                 "--name": self.name}  # fmt: skip
        given = [word for option, value in pairs.items() for word in written(option, value)]
        return "probe", "train", *given, *arguments(self.config, self.model)


def draw_form() -> Wanted:
    """The fields, and what they ask for.

    Raises:
        TrainingError: the fields contradict each other.
    """
    _remember("model", default_model())
    usual = with_recommended(str(st.session_state["t_model"]), {"method": _method()})
    task, length, start, steps, model = st.columns(5, gap="small")
    with task:
        tasks = known_tasks()
        _remember("task", next(iter(tasks)))
        chosen = st.selectbox(
            "Task", _with_chosen(list(tasks), "task"), key="t_task", persist_state="session",
            format_func=lambda one: tasks.get(one, one), accept_new_options=True,
            help="Tasks that come with probe, your own, and the paper's, whose rows come from the "
            "hub. Or type the path of a folder with a task.toml.",
        )  # fmt: skip
    with length:
        positions = _number("length", "Length", minimum=1, placeholder=str(usual.get("length", 20)))
    with start:
        _remember("start", "vocab")
        kind = st.selectbox(
            "Start from", list(_STARTS), key="t_start", persist_state="session",
            format_func=_STARTS.__getitem__, help=_HELP["init"], on_change=_start_chosen,
        )  # fmt: skip
    with steps:
        count = _number("steps", "Steps", minimum=1, value=usual.get("steps", _STEPS))
    with model:
        base = st.selectbox(
            "Base model", _with_chosen([*ALWAYS_NAMED], "model"), key="t_model",
            persist_state="session", accept_new_options=True,
            help="The frozen model. smollm2, builtin and minilm are always there; or type a "
            "folder, a GGUF file or a hub id, which is downloaded when training starts.",
        )  # fmt: skip
    _draw_wording(str(chosen))
    init = _init(kind)
    with st.expander("Advanced", icon=":material/tune:"):
        more = _draw_drawer(usual)
    name = more.pop("name") or f"{_task_name(chosen)}-{more['method']}"
    data_dir = more.pop("data_dir") or None
    if init == "text:":
        raise TrainingError("a start from a text needs one, so type it or choose another start")
    config = TrainConfig(length=positions, init=init, steps=int(count or _STEPS), **more)
    return Wanted(str(base), str(chosen), name, data_dir, config)


def fill_form(asked: RunConfig) -> None:
    """Put the settings of a run into the form; call it before the form is drawn."""
    training = dict(asked.training)
    kind, _, words = str(training.pop("init")).partition(":")
    state = st.session_state
    state["t_task"], state["t_model"], state["t_name"] = asked.task, asked.model, asked.name
    state["t_data_dir"] = asked.data_dir or ""
    state["t_start"] = kind
    if kind in ("text", "prompt"):
        state["t_words" if kind == "text" else "t_prompt"] = words
    state["t_first"] = int(words) if kind == "vocab" and words else None
    for field in _FIELDS:
        value = training[field]
        state[f"t_{field}"] = "" if value is None and field in _TEXTS else value
    state["filled"], state["t_open"] = (asked.name, _without_field(asked)), True


def _without_field(asked: RunConfig) -> list[str]:
    """What a run was asked for that the form does not hold."""
    kept = ("device", "dtype", "folds", "test_examples")
    return [
        f"{field.name.replace('_', ' ')} {getattr(asked, field.name)}"
        for field in fields(asked)
        if field.name in kept and getattr(asked, field.name) != field.default
    ]


_TEXTS = ("target", "template")
_FIELDS = (
    "length", "steps", "method", "learning_rate", "batch_size", "seed", "objective", "schedule",
    "warmup_steps", "optimiser", "weight_decay", "dropout", "clip_norm", "eval_every",
    "eval_examples", "checkpoint_every", "patience", "holdout", "gamma", "target", "template",
    "encoder", "encoder_width", "projection", "tie_layers",
)  # fmt: skip
"""Every field of a configuration but where it starts."""


def _draw_wording(task: str) -> None:
    """What the model reads and is to answer, in a line.

    Raises:
        DataError: there is no such task.
    """
    wording = load_wording(task)
    words = ", ".join(f"**{plain(word)}**" for word in wording.label_words)
    goal = f"one of {words}" if words else "a text of its own"
    st.caption(f"The model reads “{plain(wording.template)}” and is to go on with {goal}.")


def _method() -> str:
    """The method that the drawer holds, which is drawn after what depends on it."""
    return str(st.session_state.get("t_method", _DEFAULTS.method))


def _draw_drawer(usual: Mapping[str, Any]) -> dict[str, Any]:
    """The other settings, by field; `usual` are those recommended for the model and method."""
    found: dict[str, Any] = {}
    a, b, c, d = st.columns(4, gap="small")
    with a:
        found["method"] = _choice("method", "Method", tuple(METHODS))
        found["objective"] = _choice("objective", "Objective", _OBJECTIVES)
        found["eval_every"] = _number("eval_every", "Steps between validations", value=50)
        found["patience"] = _number("patience", "Patience", minimum=1, placeholder="never stop")
    with b:
        found["learning_rate"] = _number(
            "learning_rate", "Learning rate", minimum=0.0, digits="%g",
            placeholder=f"{usual.get('learning_rate', 'automatic')}",
        )  # fmt: skip
        found["schedule"] = _choice("schedule", "Schedule", _SCHEDULES)
        found["warmup_steps"] = _number(
            "warmup_steps", "Warm-up steps", value=usual.get("warmup_steps", 0)
        )
        found["checkpoint_every"] = _number(
            "checkpoint_every", "Steps between checkpoints", minimum=1, value=50
        )
    with c:
        found["batch_size"] = _number("batch_size", "Batch size", minimum=1, value=16)
        found["optimiser"] = _choice("optimiser", "Optimiser", _OPTIMISERS)
        found["weight_decay"] = _number("weight_decay", "Weight decay", 0.0, 0.0, digits="%g")
        found["eval_examples"] = _number("eval_examples", "Validation examples", 1, 200)
    with d:
        found["seed"] = _number("seed", "Seed", value=0)
        found["dropout"] = _number("dropout", "Dropout", 0.0, 0.0, digits="%g")
        found["clip_norm"] = _number("clip_norm", "Clip gradients at", 0.0, 1.0, digits="%g")
        found["holdout"] = _number("holdout", "Held out", 0.0, 0.1, digits="%g")
    found |= _draw_method(found["method"], usual)
    return found | _draw_texts(prefix=injects_prefix(found["method"]))


def _draw_method(method: str, usual: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of one method alone."""
    if not METHODS[method].options:
        return {}
    found: dict[str, Any] = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for field in METHODS[method].options:
            found[field] = _draw_option(field, usual)
    return found


def _draw_option(field: str, usual: Mapping[str, Any]) -> Any:
    if field == "encoder":
        _remember(field, usual.get(field, _DEFAULTS.encoder))
        return _choice(field, "Encoder", get_args(Encoder))
    if field == "encoder_width":
        return _number(field, "Encoder width", minimum=1, placeholder="the model's")
    _remember(field, False)
    return st.toggle(_SWITCHES[field], key=f"t_{field}", persist_state="session", help=_HELP[field])


def _draw_texts(*, prefix: bool) -> dict[str, Any]:
    """The waywardness term, the template, the name and the data."""
    found: dict[str, Any] = {}
    if not prefix:  # a prefix has neither
        left, right, far = st.columns([1, 2, 2], gap="small")
        with left:
            found["gamma"] = _number("gamma", "Gamma", 0.0, 0.0, digits="%g")
        with right:
            found["target"] = _text("target", "Target text", _HELP["target"]) or None
        with far:
            found["template"] = (
                _text("template", "Template", _HELP["template"], "the task's own") or None
            )
    left, right = st.columns(2, gap="small")
    with left:
        found["name"] = _text("name", "Name of the prompt", "", "task and method")
    with right:
        found["data_dir"] = _text(
            "data_dir", "Data folder", "A folder of data sets with one folder per task.",
            "rows of the task itself",
        )  # fmt: skip
    return found


def _start_chosen() -> None:
    st.session_state["t_first"] = None  # of a run filled in; the form has no field for it


def _init(kind: str) -> str:
    """The start that is chosen, with the text or prompt it needs."""
    if kind == "text":
        return f"text:{_text('words', 'Text to start from', 'One row per token of it.').strip()}"
    if kind == "prompt":
        known = _with_chosen([entry.id for entry in library()], "prompt")
        found = st.selectbox("Prompt to start from", known, key="t_prompt", persist_state="session")
        return f"prompt:{found}"
    first = st.session_state.get("t_first")
    return f"vocab:{first}" if kind == "vocab" and first else kind


def _with_chosen(options: list[str], field: str) -> list[str]:
    """The options, and what was typed or filled in beside them."""
    chosen = st.session_state.get(f"t_{field}")
    return options if chosen is None or chosen in options else [*options, chosen]


def _task_name(task: str | None) -> str:
    return Path(str(task)).name.removesuffix(".toml")


def _remember(field: str, value: object) -> None:
    """The default of a field: given as state, since a run may be filled in."""
    st.session_state.setdefault(f"t_{field}", value)


def _number(
    field: str,
    label: str,
    minimum: float = 0,
    value: float | None = None,
    *,
    placeholder: str | None = None,
    digits: str | None = None,
) -> Any:
    _remember(field, value)
    return st.number_input(
        label, min_value=minimum, value=None, key=f"t_{field}", persist_state="session",
        placeholder=placeholder or "none", format=digits, help=_HELP[field],
        step=None if digits else 1,
    )  # fmt: skip


def _choice(field: str, label: str, options: tuple[str, ...]) -> str:
    _remember(field, getattr(_DEFAULTS, field))
    found = st.selectbox(
        label, options, key=f"t_{field}", persist_state="session", help=_HELP[field],
        format_func=lambda one: one.replace("_", " "),
    )  # fmt: skip
    return str(found)


def _text(field: str, label: str, words: str, placeholder: str | None = None) -> str:
    _remember(field, "")
    found = st.text_input(
        label, key=f"t_{field}", persist_state="session", help=words or None,
        placeholder=placeholder,
    )  # fmt: skip
    return str(found or "")
