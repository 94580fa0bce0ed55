"""Objects in memory in the place of names: base models with their tokenizers, and prompts.

They have no path and no command line. What is kept of them is keyed by their content; what is
written down of a model is the place that it was loaded from, where it tells one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from probe.errors import ModelNotFoundError

IN_MEMORY = " in memory"
"""Ends the name of a model that is no place to load it from."""
_WRAPPERS = ("_orig_mod", "module")
"""Where `torch.compile` and the parallel wrappers of torch keep the model that they wrap."""


@dataclass(frozen=True, eq=False)
class LiveModel:
    """A transformers model in memory, which is only read."""

    model: Any
    tokenizer: Any = None
    """Of transformers; None: the one beside the files that the model was loaded from."""

    def __eq__(self, other: object) -> bool:
        """Whether the model is the same object."""
        return isinstance(other, LiveModel) and self.model is other.model

    def __hash__(self) -> int:
        """By the object."""
        return id(self.model)

    @property
    def place(self) -> str | None:
        """The name or folder that it was loaded from; None where it was made in memory."""
        return str(getattr(self.model.config, "_name_or_path", "") or "") or None

    @property
    def name(self) -> str:
        """What results call it."""
        return f"{self.place or type(self.model).__name__}{IN_MEMORY}"

    def __str__(self) -> str:
        """What results call it."""
        return self.name

    @property
    def architecture(self) -> str:
        """The class of transformers that it is, or derives from."""
        classes = (one for one in type(self.model).__mro__ if "transformers." in one.__module__)
        return next((one.__name__ for one in classes), type(self.model).__name__)


@dataclass(frozen=True, eq=False)
class LivePrompt:
    """An object in memory that holds a prompt or several."""

    value: Any
    """A PEFT model, a tensor, an array, a module or a state dict."""
    adapter: str | None = None
    """Which of a PEFT model's adapters; None: all, its active one where one is asked for."""
    tokenizer: Any = None
    """Of a PEFT model's base model."""

    @property
    def base(self) -> LiveModel | None:
        """The base model of a PEFT model; None of other objects."""
        return live_model(self.value, self.tokenizer) if is_peft(self.value) else None

    def __str__(self) -> str:
        """What errors call it."""
        return described(self.value)


def as_live_prompt(value: Any) -> LivePrompt:
    """An object in memory as a source of prompts."""
    return value if isinstance(value, LivePrompt) else LivePrompt(value)


def each_adapter(value: Any, tokenizer: Any = None) -> list[Any]:
    """The adapters of a PEFT model, one by one; of anything else itself."""
    if not is_peft(value):
        return [value]
    return [LivePrompt(value, name, tokenizer) for name in value.peft_config]


def described(value: object) -> str:
    """An object as errors and records name it: `Tensor in memory`."""
    return f"{type(value).__name__}{IN_MEMORY}"


def is_peft(value: object) -> bool:
    """Whether an object is a PEFT model; PEFT itself need not be installed to ask."""
    return hasattr(value, "peft_config") and hasattr(value, "get_base_model")


def live_model(value: Any, tokenizer: Any = None) -> LiveModel:
    """A base model in memory from what a user has: the model, a pair with its tokenizer, PEFT's.

    Args:
        value: a transformers model, wrapped or not, a PEFT model, whose base model is meant,
            (model, tokenizer), or what has both, such as a pipeline or `load_model(…)`.
        tokenizer: of transformers; a processor's will do.

    Raises:
        ModelNotFoundError: it is none of these.
    """
    if isinstance(value, LiveModel):
        return value
    if isinstance(value, tuple | list) and len(value) == 2:
        value, tokenizer = value
    model = unwrapped(value)
    if not hasattr(model, "get_input_embeddings") and _holds_both(model):
        model, tokenizer = model.model, tokenizer or model.tokenizer
    if is_peft(model):
        model = model.get_base_model()
    if not (hasattr(model, "get_input_embeddings") and hasattr(model, "config")):
        raise ModelNotFoundError(
            "model must be a name, a folder or a transformers model in memory, found a "
            f"{type(value).__name__}: give the PreTrainedModel itself, or (model, tokenizer)"
        )
    return LiveModel(model, _text_tokenizer(tokenizer))


def unwrapped(value: Any) -> Any:
    """The model within the wrappers of torch."""
    while not hasattr(value, "get_input_embeddings"):
        inner = (vars(value).get("_modules", {}).get(name) for name in _WRAPPERS)
        found = next((one for one in inner if one is not None), None) if _is_module(value) else None
        if found is None:
            return value
        value = found
    return value


def _holds_both(value: object) -> bool:
    """Whether a value has a model and its tokenizer, as our frozen models and pipelines do."""
    return hasattr(value, "tokenizer") and hasattr(value, "model")


def _is_module(value: object) -> bool:
    return hasattr(value, "__dict__") and "_modules" in vars(value)


def _text_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer, of a processor its own.

    Raises:
        ModelNotFoundError: it is none of transformers, or none that its library can ask.
    """
    found = getattr(tokenizer, "tokenizer", tokenizer)
    if found is None or hasattr(found, "backend_tokenizer"):
        return found
    raise ModelNotFoundError(
        "tokenizer must be a tokenizer of transformers (a fast one, which has backend_tokenizer), "
        f"found a {type(tokenizer).__name__}: load it with AutoTokenizer.from_pretrained"
    )
