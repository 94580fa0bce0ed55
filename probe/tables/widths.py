"""Models whose rows have a given width, for a prompt that does not say what it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from probe.errors import ModelNotFoundError
from probe.tables.architectures import text_config
from probe.tables.files import folder_files, parse_config
from probe.tables.lookup import WIDTHS
from probe.tables.named import place_on_disk

_USUAL: Mapping[int, tuple[str, ...]] = {
    320: ("builtin",),
    384: ("minilm",),
    512: ("google-t5/t5-small", "EleutherAI/pythia-70m"),
    576: ("smollm2",),
    768: ("openai-community/gpt2", "FacebookAI/roberta-base", "google-bert/bert-base-uncased",
          "google-t5/t5-base"),
    896: ("Qwen/Qwen2.5-0.5B",),
    960: ("HuggingFaceTB/SmolLM2-360M",),
    1024: ("FacebookAI/roberta-large", "google-t5/t5-large", "google-bert/bert-large-uncased",
           "bigscience/bloomz-560m"),
    1280: ("openai-community/gpt2-large",),
    1536: ("Qwen/Qwen2.5-1.5B",),
    1600: ("openai-community/gpt2-xl",),
    2048: ("meta-llama/Llama-3.2-1B", "google/flan-t5-xl", "TinyLlama/TinyLlama-1.1B-Chat-v1.0"),
    2304: ("google/gemma-2-2b",),
    2560: ("microsoft/phi-2", "EleutherAI/pythia-2.8b"),
    3072: ("meta-llama/Llama-3.2-3B", "microsoft/Phi-3-mini-4k-instruct"),
    3584: ("Qwen/Qwen2.5-7B", "google/gemma-2-9b"),
    4096: ("meta-llama/Llama-2-7b-hf", "mistralai/Mistral-7B-v0.1", "meta-llama/Llama-3.1-8B"),
    5120: ("meta-llama/Llama-2-13b-hf",),
    8192: ("meta-llama/Llama-2-70b-hf",),
}  # fmt: skip
"""By the width H in each one's `config.json` on the hub: what prompts are often published for."""


def models_of_width(width: int) -> list[str]:
    """Models that rows [P, H] of a width H fit: those in the hub's cache first, then usual ones."""
    cached = [name for name, found in _cached_widths() if found == width]
    return list(dict.fromkeys([*cached, *_USUAL.get(width, ())]))


def _cached_widths() -> Iterator[tuple[str, int | None]]:
    from huggingface_hub.constants import HF_HUB_CACHE

    for folder in sorted(Path(HF_HUB_CACHE).glob("models--*")):
        name = folder.name.removeprefix("models--").replace("--", "/")
        try:
            yield name, _stated_width(name)
        except (ModelNotFoundError, OSError):
            continue  # not whole, or no model that is read


def _stated_width(name: str) -> int | None:
    """H as a model's configuration states it: of two widths tokens are read in the second."""
    place = place_on_disk(name)
    data = folder_files(place, name).small("config.json") if place else None
    if data is None:
        return None
    config = text_config(parse_config(data, name))
    if type(config.get("vocab_size")) is not int:
        return None  # of images or sounds alone
    stated = [config[key] for key in WIDTHS if type(config.get(key)) is int]
    return stated[-1] if stated else None
