"""Every attack as files on disk: the path to load, and what it is called."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save as safetensors

from probe.formats.containers.limits import MAX_FILE_BYTES
from tests.formats import bombs
from tests.formats.gadgets import endless, gadgets, in_legacy, in_zip, nested, saved


def write_attacks(folder: Path, canary: Path) -> Iterator[tuple[str, Path]]:
    """Write every attack below a folder.

    Args:
        folder: an empty folder.
        canary: the file that a gadget would create if it ran.
    """
    for number, (name, filename, data) in enumerate(_files(canary)):
        path = folder / str(number) / filename
        path.parent.mkdir()
        path.write_bytes(data)
        yield name, path
    yield from _adapters(folder / "adapters")
    yield from _odd_files(folder / "odd")


def _files(canary: Path) -> Iterator[tuple[str, str, bytes]]:
    for name, pickled in gadgets(canary):
        yield name, "prompt.bin", _sniffable(pickled)
        yield f"{name} in torch's zip", "prompt.pt", in_zip(pickled)
        yield f"{name} in torch's legacy layout", "prompt.pt", in_legacy(pickled)
        yield f"{name} in _load_from_bytes", "prompt.pt", in_zip(nested(pickled))
    for name, pickled in endless():
        yield name, "prompt.bin", _sniffable(pickled)
    for levels in (4, 40):
        yield f"_load_from_bytes {levels} levels deep", "prompt.pt", nested(b"\x80\x02N.", levels)
    deep = nested(in_legacy(nested(saved(torch.ones(2, 2), zipped=False), 3)))
    yield "layouts in layouts", "prompt.pt", deep
    first = next(iter(gadgets(canary)))[1]
    mkultra = {"metadata": {"name": "x"}, "tensor": base64.b64encode(first).decode()}
    yield "gadget in mkultra JSON", "prompt.json", json.dumps(mkultra).encode()
    yield "gadget in KoboldAI zip", "prompt.zip", bombs.koboldai(first)
    yield "gadget in NeMo tar", "prompt.nemo", bombs.tar_of(("model_weights.ckpt", b"0", first))
    yield "gadget by dill", "prompt.pt", _by_dill(canary)
    for name, data in bombs.tensors():
        yield name, "prompt.pt", data
    for name, data in bombs.zips():
        yield name, "prompt.zip", data
    for name, data in bombs.tars():
        yield name, "prompt.nemo", data
    for name, data in bombs.documents():
        yield name, "prompt.json", data
    for name, data in bombs.unknown():
        yield name, "prompt", data
    yield from bombs.headers()


def _sniffable(pickled: bytes) -> bytes:
    """Protocol 0 has no mark at its start: give it one that changes nothing."""
    return pickled if pickled[:1] == b"\x80" else b"\x80\x02" + pickled


def _by_dill(canary: Path) -> bytes:
    import io

    import dill

    file = io.BytesIO()
    torch.save({"a": lambda: canary}, file, pickle_module=dill)
    return file.getvalue()


def _adapters(folder: Path) -> Iterator[tuple[str, Path]]:
    """PEFT folders whose configuration contradicts their weights."""
    rows = {"prompt_embeddings": np.ones((4, 8), np.float32)}
    prompt = {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4, "token_dim": 8}
    prefix = {**prompt, "peft_type": "PREFIX_TUNING", "num_layers": 2, "num_attention_heads": 2}
    cases: dict[str, tuple[object, dict[str, np.ndarray]]] = {
        "more tokens than rows": ({**prompt, "num_virtual_tokens": 5}, rows),
        "another width": ({**prompt, "token_dim": 16}, rows),
        "tokens as text": ({**prompt, "num_virtual_tokens": "four"}, rows),
        "2^60 tokens": ({**prompt, "num_virtual_tokens": 2**60}, rows),
        "prefix of other layers": ({**prefix, "num_layers": 3}, rows),
        "prefix of no layers": ({**prefix, "num_layers": 0}, rows),
        "prefix of 2^60 heads": ({**prefix, "num_attention_heads": 2**60}, rows),
        "LoRA": ({"peft_type": "LORA"}, {"base.lora_A.weight": rows["prompt_embeddings"]}),
        "no prompt": (prompt, {"other": rows["prompt_embeddings"][0]}),
        "one axis": (prompt, {"prompt_embeddings": np.ones(8, np.float32)}),
        "task columns that do not fit": (
            {**prompt, "peft_type": "MULTITASK_PROMPT_TUNING"},
            {
                **rows,
                "prefix_task_cols": np.ones((1, 3, 2), np.float32),
                "prefix_task_rows": np.ones((1, 2, 7), np.float32),
            },
        ),
        "deep configuration": (None, rows),
        "list as configuration": ([1], rows),
    }
    for name, (config, tensors) in cases.items():
        path = folder / name.replace(" ", "-")
        path.mkdir(parents=True)
        text = "[" * 100_000 if config is None else json.dumps(config)
        (path / "adapter_config.json").write_text(text)
        (path / "adapter_model.safetensors").write_bytes(safetensors(tensors))
        yield f"adapter: {name}", path
    lonely = folder / "lonely"
    lonely.mkdir()
    (lonely / "adapter_config.json").write_text(json.dumps(prompt))
    yield "adapter without weights", lonely


def _odd_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """What stands where a file is expected."""
    folder.mkdir()
    os.mkfifo(folder / "pipe.pt")
    yield "named pipe", folder / "pipe.pt"
    (folder / "empty").mkdir()
    yield "empty folder", folder / "empty"
    (folder / "loop.pt").symlink_to(folder / "loop.pt")
    yield "link to itself", folder / "loop.pt"
    (folder / "zero.pt").symlink_to("/dev/zero")
    yield "endless device", folder / "zero.pt"
    with open(folder / "sparse.pt", "wb") as file:
        file.truncate(10 * 2**40)
    yield "file of ten terabytes", folder / "sparse.pt"
    with open(folder / "full.pt", "wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(MAX_FILE_BYTES)
    yield "largest file, of zeros", folder / "full.pt"
    with open(folder / "deep.safetensors", "wb") as file:
        file.write((230_000_000).to_bytes(8, "little") + b"{" * 1000)
        file.truncate(MAX_FILE_BYTES)
    yield "header of 230 MB", folder / "deep.safetensors"
    yield "nothing there", folder / "missing.pt"
    yield "nothing there, by parts", folder / "missing.pt#name"
    yield "name with a zero byte", folder / "a\0b"
