"""The form of a training run: four fields with defaults that work, a model, and a drawer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import streamlit as st

from dashboard.shared.markdown import plain
from dashboard.shared.new_job import not_held
from dashboard.shared.resources import known_tasks, library
from probe.datasets import load_wording
from probe.errors import TrainingError
from probe.requests import TrainConfig, TrainRequest, command_of, fields_of
from probe.requests.train_config import DEFAULT_LENGTH
from probe.requests.train_methods import METHODS, injects_prefix, method_words
from probe.requests.training import stated, with_recommended
from probe.store import JobConfig
from probe.tables import ALWAYS_NAMED, default_model
from probe.texts import INIT_NAMES

_DRAWER = (
    ("method", "objective", "eval_every", "patience"),
    ("learning_rate", "schedule", "warmup_steps", "checkpoint_every"),
    ("batch_size", "optimiser", "weight_decay", "eval_examples"),
    ("seed", "dropout", "clip_norm", "holdout"),
)
"""The advanced settings of every method, column by column."""
_LABELS = {
    "eval_every": "Steps between validations",
    "checkpoint_every": "Steps between checkpoints",
    "warmup_steps": "Warm-up steps",
    "eval_examples": "Validation examples",
    "clip_norm": "Clip gradients at",
    "holdout": "Validation fraction",
    "projection": "Train through an MLP",
}
"""Of the fields that are not called by their own name."""
_EMPTY = {"learning_rate": "automatic", "patience": "never stop", "encoder_width": "the model's"}
"""What a number that is left out means."""
_SHORT_RUNS = {"steps": 400, "eval_every": 50, "checkpoint_every": 50}
"""Defaults of the form where a configuration's are for longer runs."""
_FROM_ZERO = ("eval_every", "warmup_steps", "seed")
_HELD = ("model", "task", "training", "name", "data_dir")
"""Fields of a request that the form has, in its own way."""
_STARTS = ("vocab", "labels", "text", "random", "prompt")
_HELP = {
    field.name: field.help for kind in (TrainRequest, TrainConfig) for field in fields_of(kind)
}
_KINDS = get_type_hints(TrainConfig)
_DEFAULTS = TrainConfig()


@dataclass(frozen=True)
class Wanted:
    """What the form asks for."""

    request: TrainRequest

    @property
    def command(self) -> tuple[str, ...]:
        """The command line that asks for the same run."""
        return command_of(self.request, "train")


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
            help=_HELP["task"],
        )  # fmt: skip
    with length:
        _recommend("length", usual_length := usual.get("length", DEFAULT_LENGTH))
        positions = _draw_field("length", {"length": usual_length})
    with start:
        _recommend("start", usual.get("init", "vocab"))
        kind = st.selectbox(
            "Initialisation", _STARTS, key="t_start", persist_state="session",
            format_func=INIT_NAMES.__getitem__, help=_HELP["init"], on_change=_start_chosen,
        )  # fmt: skip
    with steps:
        count = _draw_field("steps", usual)
    with model:
        base = st.selectbox(
            "Base model", _with_chosen([*ALWAYS_NAMED], "model"), key="t_model",
            persist_state="session", accept_new_options=True,
            help=_HELP["model"],
        )  # fmt: skip
    _draw_wording(str(chosen))
    init = _init(kind)
    with st.expander("Advanced", icon=":material/tune:"):
        more = _draw_drawer(usual)
    name = more.pop("name") or f"{_task_name(chosen)}-{more['method']}"
    data_dir = more.pop("data_dir") or None
    if init == "text:":
        raise TrainingError("a start from a text needs one, so type it or choose another start")
    config = TrainConfig(  # a start from a text or a prompt has a length of its own
        length=None if positions == usual_length else positions,
        init=init,
        steps=int(count),
        **more,
    )
    training = stated(config, str(base))
    if config.steps < config.eval_every:
        st.caption("No validation before the end: there are fewer steps than between validations.")
    return Wanted(TrainRequest(str(base), str(chosen), training, name=name, data_dir=data_dir))


def fill_form(asked: JobConfig) -> None:
    """Put the settings of a run into the form; call it before the form is drawn."""
    request = asked.request
    training = {**_DEFAULTS.to_dict(), **request["training"]}
    kind, _, words = str(training["init"]).partition(":")
    state = st.session_state
    state["t_task"], state["t_model"] = request["task"], request["model"]
    state["t_name"], state["t_data_dir"] = asked.name, request.get("data_dir") or ""
    state["t_start"] = kind
    if kind in ("text", "prompt"):
        state["t_words" if kind == "text" else "t_prompt"] = words
    state["t_first"] = int(words) if kind == "vocab" and words else None
    held = [field for field in _KINDS if field != "teacher" and _is_offered(field, training[field])]
    for field in _KINDS:
        value = training[field] if field in held else getattr(_DEFAULTS, field)
        state[f"t_{field}"] = "" if value is None and field in ("target", "template") else value
    missing = not_held(TrainRequest, request, _HELD) + not_held(TrainConfig, training, held)
    state["filled"], state["t_open"], state["t_usual"] = (asked.name, missing), True, {}


def _choices(field: str) -> list[str]:
    """What the form offers of a choice: a distillation needs a teacher, which has no field."""
    return [one for one in get_args(_KINDS[field]) if one != "distill"]


def _is_offered(field: str, value: object) -> bool:
    return get_origin(_KINDS[field]) is not Literal or value in _choices(field)


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
    for column, names in zip(st.columns(4, gap="small"), _DRAWER, strict=True):
        with column:
            found |= {field: _draw_field(field, usual) for field in names}
    if options := METHODS[found["method"]].options:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            found |= {field: _draw_field(field, usual) for field in options}
    return found | _draw_texts(prefix=injects_prefix(found["method"]))


def _draw_field(field: str, usual: Mapping[str, Any]) -> Any:
    """A switch, a choice or a number, as the configuration has it; its default where cleared."""
    kind, default = _KINDS[field], getattr(_DEFAULTS, field)
    start = None if default is None else usual.get(field, _SHORT_RUNS.get(field, default))
    (_remember if default is None else _recommend)(field, start)
    label = _LABELS.get(field, field.replace("_", " ").capitalize())
    if kind is bool:
        return st.toggle(label, key=f"t_{field}", persist_state="session", help=_HELP[field])
    if get_origin(kind) is Literal:
        return st.selectbox(
            label, _choices(field), key=f"t_{field}", persist_state="session", help=_HELP[field],
            format_func=method_words,
        )  # fmt: skip
    kinds = (kind, *get_args(kind))
    empty = usual.get(field, _EMPTY.get(field, "none")) if NoneType in kinds else start
    found = _draw_number(field, label, str(empty), whole=float not in kinds)
    return start if found is None and NoneType not in kinds else found


def _draw_number(field: str, label: str, placeholder: str, *, whole: bool) -> Any:
    return st.number_input(
        label, min_value=int(field not in _FROM_ZERO) if whole else 0.0, value=None,
        key=f"t_{field}", persist_state="session", placeholder=placeholder,
        format=None if whole else "%g", help=_HELP[field], step=1 if whole else None,
    )  # fmt: skip


def _draw_texts(*, prefix: bool) -> dict[str, Any]:
    """The waywardness term, the template, the name and the data."""
    found: dict[str, Any] = {}
    if not prefix:  # a prefix has neither
        left, right, far = st.columns([1, 2, 2], gap="small")
        with left:
            found["gamma"] = _draw_field("gamma", {})
        with right:
            found["target"] = _text("target", "Target text", _HELP["target"]) or None
        with far:
            found["template"] = (
                _text("template", "Template", _HELP["template"], "the task's own") or None
            )
    left, right = st.columns(2, gap="small")
    with left:
        found["name"] = _text("name", "Name of the prompt", _HELP["name"], "task and method")
    with right:
        found["data_dir"] = _text(
            "data_dir", "Data folder", _HELP["data_dir"], "rows of the task itself"
        )
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


def _recommend(field: str, value: object) -> None:
    """The default of a field, which follows what is recommended until it is changed."""
    key, usual = f"t_{field}", st.session_state.setdefault("t_usual", {})
    untouched = field in usual and st.session_state.get(key) == usual[field] != value
    if untouched or key not in st.session_state:
        st.session_state[key] = value
    usual[field] = value


def _text(field: str, label: str, words: str, placeholder: str | None = None) -> str:
    _remember(field, "")
    found = st.text_input(
        label, key=f"t_{field}", persist_state="session", help=words,
        placeholder=placeholder,
    )  # fmt: skip
    return str(found or "")
