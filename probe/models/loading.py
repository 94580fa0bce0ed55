"""Frozen models by name, folder or hub id."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging as library_logging

from probe.errors import NO_MEMORY, ModelNotFoundError, ProbeError, is_out_of_memory
from probe.live import LiveModel
from probe.models.agreement import require_agreement
from probe.models.frozen import FrozenModel
from probe.models.gguf_folder import folder_of_gguf
from probe.models.in_memory import freeze_live
from probe.models.kinds import automatic_class, count_parameters, family_of, require_borne_out
from probe.models.memory import note_of_memory
from probe.tables import check_model_files
from probe.tables.codec import tokenizer_calls
from probe.tables.gguf_files import find_gguf
from probe.tables.named import place_of
from probe.texts import counted

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_TOKENIZER_FILE = re.compile(r"token|vocab|merges|\.(?:model|spm|tiktoken)$", re.IGNORECASE)
_SPARE = 0.2
"""Share of a GPU's free memory kept for activations when models are placed."""


def load_model(
    name: str | Path | LiveModel,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> FrozenModel:
    """A frozen model with its tokenizer, ready to read prompts.

    Args:
        name: `builtin`, `minilm`, `smollm2`, a folder saved by transformers, a GGUF file or a
            folder with one, a hub id, or a GGUF file on the hub as `org/name:file.gguf`. Or a model
            in memory, which is left as it is.
        revision: branch, tag or commit of a hub id.
        device: as torch names it; by default the GPU if there is one. A model that one of several
            GPUs cannot hold is spread over them.
        dtype: `float32` (default), `bfloat16` or `float16`: the precision of weights and matrix
            products. Prompts, the residual stream, norms and losses stay float32.

    Raises:
        ModelNotFoundError: no such model, device or precision, files that cannot be read or need
            code of their own, weights that are missing, or a kind of model that reads no prompts.
        MissingExtraError: `minilm` is not installed.
    """
    if dtype is not None and dtype not in _DTYPES:
        raise ModelNotFoundError(f"dtype must be one of {', '.join(_DTYPES)}, found {dtype!r}")
    if device is not None:
        check_device(device)
    if isinstance(name, LiveModel):
        return freeze_live(name, device=device, dtype=dtype)
    place = place_of(name)
    path = str(place) if place.is_dir() else str(name)
    try:
        with _quiet():
            automatic: Any = AutoTokenizer
            if (found := find_gguf(name, place, revision)) is not None:
                path, revision = str(folder_of_gguf(found)), None
                automatic = PreTrainedTokenizerFast  # others would cut text by rules of their own
            else:
                check_model_files(name, revision)
            config = AutoConfig.from_pretrained(path, revision=revision, trust_remote_code=False)
            config._attn_implementation = None  # it could name a kernel to fetch and run
            with tokenizer_calls(str(name)):
                tokenizer = automatic.from_pretrained(
                    path, revision=revision, trust_remote_code=False
                )
            family = family_of(config, path, revision)
            model = _read(path, revision, config, family, _DTYPES[dtype or "float32"], device)
    except ProbeError:
        raise
    except Exception as error:  # transformers answers strange files with any exception
        if is_out_of_memory(error) or NO_MEMORY.search(str(error)):
            raise ModelNotFoundError(
                f"not enough memory to load {name} ({_memory_line(error)}): end other programs, "
                "raise the limit (ulimit -v), or load it in --dtype bfloat16"
            ) from error
        why = _without_tokenizer(error, place) or _why(error)
        raise ModelNotFoundError(f"{name} cannot be loaded as a model: {why}") from error
    # Where it can be loaded from again, which a GGUF file's unpacked folder is not.
    model.config._name_or_path = model.name_or_path = str(name)
    frozen = family(str(name), model, tokenizer)
    require_agreement(frozen)
    return frozen


def _memory_line(error: Exception) -> str:
    lines = (line for line in str(error).splitlines() if NO_MEMORY.search(line))
    return next(lines, "out of memory")[:200]


def _without_tokenizer(error: Exception, place: Path) -> str:
    """Why a folder has no tokenizer, where none of its files belongs to one; else empty."""
    asked = "backend tokenizer" in str(error) and place.is_dir()
    if not asked or any(_TOKENIZER_FILE.search(path.name) for path in place.iterdir()):
        return ""
    return (
        "expected a tokenizer in the folder, found none of its files: copy tokenizer.json and "
        "tokenizer_config.json of the model there"
    )


def _why(error: Exception) -> str:
    """What a library said about a model's files, less its advice to run what they bring."""
    said = str(error)
    if "trust_remote_code" in said:
        return (
            "expected a model and a tokenizer of kinds that transformers knows, found Python code "
            "of their own, which is never run: use a model saved without custom code"
        )
    if "weights_only" in said:
        return (
            "expected weights that hold tensors only, found pickled objects of other kinds or a "
            "damaged file: use a model saved as safetensors"
        )
    if "Unrecognized configuration class" in said:
        return (
            "expected a language model of a kind that transformers loads by itself, found one that "
            "it loads only as part of another: name another base model"
        )
    if "ignore_mismatched_sizes" in said:
        return (
            "expected weights of the sizes that config.json states, found others: fetch both "
            "again, they do not belong together"
        )
    if isinstance(error, (OSError, ValueError, RuntimeError, ImportError)):  # written for people
        return said
    return (
        "expected whole files as transformers writes them, found others "
        f"({type(error).__name__}: {said}): fetch or save them again"
    )


def _read(
    path: str,
    revision: str | None,
    config: Any,
    family: type[FrozenModel],
    dtype: torch.dtype,
    device: str | None,
) -> Any:
    automatic = automatic_class(config, family)
    require_borne_out(automatic, config, path)
    spread = device is None and _needs_several(automatic, config, dtype)
    target = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if target == "cpu":
        note_of_memory(automatic, config, path, dtype)
    model, report = automatic.from_pretrained(
        path,
        revision=revision,
        config=config,
        dtype=dtype,
        device_map="auto" if spread else None,
        output_loading_info=True,
        trust_remote_code=False,
    )
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        if wrapper := _wrapper(missing, report["unexpected_keys"]):
            raise ModelNotFoundError(
                f"{path} holds the tensors of a {type(model).__name__} under names that begin with "
                f"{wrapper!r}, as a wrapper saved them (DDP, torch.compile, PEFT): save the model "
                "within it, or take that from the names"
            )
        raise ModelNotFoundError(
            f"{path} lacks {counted(len(missing), 'tensor')} of a {type(model).__name__} "
            f"({missing[0]}, …): they would be random, so the model cannot be used"
        )
    return model if spread else model.to(target)


def _wrapper(missing: Sequence[str], found: Collection[str]) -> str:
    """What stands before the name of every tensor that seems to be missing; empty if nothing."""
    before = [key.removesuffix(missing[0]) for key in found if key.endswith(f".{missing[0]}")]
    return next((one for one in before if all(one + key in found for key in missing)), "")


def _needs_several(automatic: Any, config: Any, dtype: torch.dtype) -> bool:
    """Whether the first of several GPUs is too small for the model."""
    if torch.cuda.device_count() < 2:
        return False
    size = (count_parameters(automatic, config) or 0) * dtype.itemsize
    return bool(size > torch.cuda.mem_get_info(0)[0] * (1 - _SPARE))


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no notes while reading: what matters is raised."""
    chatter: Any = library_logging
    bars, level = chatter.is_progress_bar_enabled(), chatter.get_verbosity()
    chatter.disable_progress_bar()
    chatter.set_verbosity_error()
    try:
        yield
    finally:
        chatter.set_verbosity(level)
        if bars:
            chatter.enable_progress_bar()


def check_device(device: str) -> None:
    """Refuse a device before anything is read.

    Raises:
        ModelNotFoundError: nothing can be computed on it.
    """
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # torch's own differ from device to device
        usable = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        usable += ["mps"] if torch.backends.mps.is_available() else []
        raise ModelNotFoundError(
            f"device must be one that PyTorch can use here, found {device!r}: choose "
            f"{' or '.join(usable)}, or install a PyTorch built for it"
        ) from error


def on_cpu(device: str | None) -> bool:
    """Whether a device, a GPU if there is one when None, is the processor."""
    return device == "cpu" or (device is None and not torch.cuda.is_available())


def fast_dtype(device: str | None) -> str | None:
    """bfloat16 where the device multiplies it itself; None, for float32, elsewhere.

    Args:
        device: as torch names it; a GPU if there is one when None.
    """
    if on_cpu(device):
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        on_gpu = torch.cuda.is_available() and (device is None or device.startswith("cuda"))
        native = on_gpu and torch.cuda.is_bf16_supported()
    return "bfloat16" if native else None
