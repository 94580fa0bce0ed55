"""What a trained soft prompt is: vectors in embedding space, or keys and values in every layer."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from probe.arrays import Float32Array, Float64Array
from probe.errors import require_choice
from probe.linalg import squared_norms
from probe.live import LiveModel

Method = Literal[
    "prompt_tuning",
    "p_tuning",
    "prefix_tuning",
    "multitask_prompt_tuning",
    "cpt",
    "textual_inversion",
    "trainable_tokens",
    "unknown",
]
Submodule = Literal["encoder", "decoder"]

READER_VERSION = 2
"""Raised whenever a reader starts to return other vectors for the same file."""


@dataclass(frozen=True)
class Provenance:
    """Where a prompt was read from."""

    format: str
    """Name of the reader, as `probe inspect` prints it (`peft`, `koboldai`, …)."""
    path: str
    """File or folder read, or the hub id."""
    sha256: str
    """Digest of the bytes of the file that held the vectors."""
    reader_version: int = READER_VERSION
    notes: tuple[str, ...] = ()
    """What was decided while reading and could have been decided otherwise, a line each."""


@dataclass(frozen=True)
class LeftOut:
    """Something that came with a prompt, in its file or beside it, and is no part of it."""

    name: str
    """The tensor's key, or the name of the file or folder."""
    shape: tuple[int, ...] | None
    """Of the tensor; None for files and folders."""
    why: str
    """What it is, and so why it was left out."""
    changes_answers: bool = False
    """Whether what was trained answers with it, so that the prompt alone scores otherwise."""


START_NEAREST = "start_nearest_ids"
"""Key of `config`: the nearest tokens by cosine of the rows a prompt started from, where these were
another prompt's or mixed ones and so no tokens themselves."""


class _Published:
    """What a hub can hold."""

    def push_to_hub(self, repository: str, **asked: Any) -> Any:
        """Publish the prompt with a card of what it is worth, as `probe.push` does.

        Args:
            repository: `owner/name`; it is made, private, where there is none.
            asked: other arguments of `probe.push`.

        Raises:
            ProbeError: the hub refused.
        """
        push = importlib.import_module("probe.verbs").push  # a verb stands above what it is asked
        return push(self, repository, **asked)


@dataclass(frozen=True, eq=False)
class SoftPrompt(_Published):
    """A trained soft prompt: P virtual tokens of width H (Lester et al. 2021, §2)."""

    name: str
    embeddings: Float32Array
    """[P, H], finite, read-only."""
    base_model: str | None = None
    """Hub id or path of the frozen model it was trained on, where the file tells."""
    revision: str | None = None
    task: str | None = None
    method: Method = "unknown"
    submodule: Submodule | None = None
    """Which half of an encoder–decoder model reads it; None for other models."""
    trained: bool = True
    """False for rows a file stores although training never reached them."""
    init_token_ids: tuple[int, ...] | None = None
    """Vocabulary ids the rows started from, one per row, where known."""
    provenance: Provenance | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    """What came with the rows and is no part of them."""
    live_model: LiveModel | None = field(default=None, repr=False, compare=False)
    """The base model in memory that it was taken from, as PEFT keeps both together."""

    def __post_init__(self) -> None:
        """Check the prompt and make its array read-only.

        Raises:
            ValueError: the rows are not a finite [P, H] array with P, H ≥ 1, or another field
                contradicts them.
        """
        _freeze(self, "embeddings", self.embeddings, "[P, H]", ndim=2)
        require_choice("method", self.method, get_args(Method))
        if self.submodule is not None:
            require_choice("submodule", self.submodule, get_args(Submodule))
        if self.init_token_ids is not None:
            ids = tuple(int(i) for i in self.init_token_ids)
            if len(ids) != len(self) or min(ids) < 0:
                raise ValueError(
                    f"init_token_ids must hold one id ≥ 0 for each of {len(self)} rows, "
                    f"found {len(ids)} ids"
                )
            object.__setattr__(self, "init_token_ids", ids)
        _copy_mappings(self)

    def __len__(self) -> int:
        """Number of virtual tokens, P."""
        return int(self.embeddings.shape[0])

    @property
    def width(self) -> int:
        """Hidden size, H."""
        return int(self.embeddings.shape[1])

    @property
    def norms(self) -> Float64Array:
        """Euclidean norm of each row, [P]."""
        return np.sqrt(squared_norms(self.embeddings))

    def renamed(self, name: str) -> SoftPrompt:
        """The same prompt under another name."""
        return dataclasses.replace(self, name=name)


@dataclass(frozen=True, eq=False)
class KVPrefix(_Published):
    """A trained prefix: keys and values of P positions in every layer (Li & Liang 2021, §4.2).

    It lives in key/value space, so it has no nearest vocabulary tokens.
    """

    name: str
    keys: Float32Array
    """[L, heads, P, head_dim], finite, read-only."""
    values: Float32Array
    """[L, heads, P, head_dim], finite, read-only."""
    base_model: str | None = None
    revision: str | None = None
    task: str | None = None
    submodule: Submodule | None = None
    trained: bool = True
    provenance: Provenance | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    """What came with the prefix and is no part of it."""
    live_model: LiveModel | None = field(default=None, repr=False, compare=False)
    """The base model in memory that it was taken from, as PEFT keeps both together."""

    method: Method = field(default="prefix_tuning", init=False)

    def __post_init__(self) -> None:
        """Check the prefix and make its arrays read-only.

        Raises:
            ValueError: keys and values are not finite arrays of one shape [L, heads, P, head_dim].
        """
        for attribute in ("keys", "values"):
            _freeze(self, attribute, getattr(self, attribute), "[L, heads, P, head_dim]", ndim=4)
        if self.keys.shape != self.values.shape:
            raise ValueError(
                f"keys and values must have one shape, found {self.keys.shape} and "
                f"{self.values.shape}"
            )
        if self.submodule is not None:
            require_choice("submodule", self.submodule, get_args(Submodule))
        _copy_mappings(self)

    def __len__(self) -> int:
        """Number of virtual tokens, P."""
        return int(self.keys.shape[2])

    @property
    def norms(self) -> Float64Array:
        """Norm of each position's keys and values over all layers and heads, [P]."""
        by_position = np.moveaxis(np.stack([self.keys, self.values]), 3, 0)
        return np.sqrt(squared_norms(by_position.reshape(len(self), -1)))

    def renamed(self, name: str) -> KVPrefix:
        """The same prefix under another name."""
        return dataclasses.replace(self, name=name)


@dataclass(frozen=True, eq=False)
class PromptPair:
    """An encoder prompt and a decoder prompt that are used together."""

    encoder: SoftPrompt
    decoder: SoftPrompt

    def __post_init__(self) -> None:
        """Check that each half is what it says.

        Raises:
            ValueError: the halves are not an encoder and a decoder prompt of one width.
        """
        found = (self.encoder.submodule, self.decoder.submodule)
        if found != ("encoder", "decoder"):
            raise ValueError(f"a pair needs submodules (encoder, decoder), found {found}")
        if self.encoder.width != self.decoder.width:
            raise ValueError(
                f"both halves must have one width, found {self.encoder.width} and "
                f"{self.decoder.width}"
            )


AnyPrompt = SoftPrompt | KVPrefix


def with_arrays(prompt: AnyPrompt, change: Callable[..., Any], *others: AnyPrompt) -> AnyPrompt:
    """The prompt with other numbers; those began from no tokens.

    Args:
        prompt: of either kind.
        change: makes an array of the axis of positions, the prompt's own array and those of others.
        others: prompts of the same kind.
    """
    is_prefix = isinstance(prompt, KVPrefix)
    fields: dict[str, Any] = {} if is_prefix else {"init_token_ids": None}
    for name in ("keys", "values") if is_prefix else ("embeddings",):
        arrays = (getattr(one, name) for one in (prompt, *others))
        fields[name] = change(2 if is_prefix else 0, *arrays)
    return dataclasses.replace(prompt, **fields)


def trained_method(prompt: AnyPrompt) -> str:
    """How a prompt was trained: PEZ leaves rows that every layout calls prompt tuning."""
    training = prompt.config.get("training")
    found = training.get("method") if isinstance(training, dict) else None
    return found if isinstance(found, str) else prompt.method


def default_name(path: str | Path) -> str:
    """The name a prompt gets when its file carries none: the file's or folder's own."""
    path = Path(path)
    return path.name if path.is_dir() else (path.stem or path.name)


def _freeze(owner: object, attribute: str, values: ArrayLike, shape: str, *, ndim: int) -> None:
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes inf and is refused below
        array = np.array(values, dtype=np.float32, order="C")  # a copy: nobody else can write to it
    if array.ndim != ndim or 0 in array.shape:
        raise ValueError(f"{attribute} must be a non-empty {shape} array, found {array.shape}")
    if not np.isfinite(array).all():
        bad = int(array.size - np.isfinite(array).sum())
        raise ValueError(f"{attribute} must be finite, found {bad} NaN or infinite values")
    array.flags.writeable = False
    object.__setattr__(owner, attribute, array)


def _copy_mappings(owner: AnyPrompt) -> None:
    for attribute in ("metrics", "config"):
        object.__setattr__(owner, attribute, dict(getattr(owner, attribute)))
