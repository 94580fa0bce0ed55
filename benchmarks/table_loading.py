"""A vocabulary without its model, against `AutoModel.from_pretrained`, in one run, as ratios.

A full Llama-7B-shaped checkpoint (32 layers, 13.5 GB of bfloat16 in shards, a 32,000-token
tokenizer) is written once to a temporary folder. Each contender runs in processes of its own, the
medians of several are shown. Imports come first, then the clock starts: *load* ends when the call
returns, *table read* when every row of the table was read once as well. "From disk" means that the
files were dropped from the page cache before; "cached" repeats the run after that one. On a CPU
`from_pretrained` maps the weights and leaves them on disk until they are used, so the cost of a
model that can run, with every weight read once, is shown too. Memory growth is the process's peak
resident size minus its resident size after the imports; mapped pages count.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from statistics import median

import numpy as np
from report import publish, table
from tokenizers import Tokenizer, decoders, models, normalizers

V, H, F = 32_000, 4096, 11_008
SHARD_BYTES = 5_000_000_000
MIN_FREE_BYTES = 20_000_000_000

_MEASURE = """
import sys, time
import psutil
process, folder = psutil.Process(), sys.argv[1]
{imports}
before = process.memory_info().rss
start = time.perf_counter()
{load}
load_s = time.perf_counter() - start
{read}
read_s = time.perf_counter() - start
peak = int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) * 1024
print(load_s, read_s, peak - before)
"""
_PROBE = _MEASURE.format(
    imports="import numpy, tokenizers; from probe.tables import load_vocabulary",
    load="table = load_vocabulary(folder).table",
    read="numpy.bitwise_xor.reduce(table.view('u8'), axis=1)",
)
_MODEL = {
    "imports": "import torch; from transformers import AutoModel, LlamaModel",
    "load": "model = AutoModel.from_pretrained(folder, dtype=torch.bfloat16)",
}
_AUTO_MODEL = _MEASURE.format(
    **_MODEL, read="model.get_input_embeddings().weight.view(torch.int64).amax(1)"
)
_WHOLE_MODEL = _MEASURE.format(
    **_MODEL, read="for weight in model.parameters(): weight.view(torch.int64).amax()"
)


def main() -> None:
    """Write the checkpoint, measure both contenders, and delete it again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=32, help="fewer to try the script out")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="leave the checkpoint behind")
    parser.add_argument("--write", action="store_true", help="keep the figures in results/")
    args = parser.parse_args()
    folder = args.folder / f"probe-llama-{args.layers}-layers"
    if shutil.disk_usage(args.folder).free < MIN_FREE_BYTES:
        sys.exit(f"{args.folder} needs {MIN_FREE_BYTES / 1e9:.0f} GB of free space: see --folder")
    try:
        if not (folder / "config.json").exists():
            write_checkpoint(folder, args.layers)
        text = measure(folder, args.rounds)
    finally:
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    publish(
        "table_loading",
        "An embedding table without its model, one run",
        text,
        *("numpy", "safetensors", "tokenizers", "torch", "transformers"),
        write=args.write,
    )


def measure(folder: Path, rounds: int) -> str:
    """Run every contender in its own process and tabulate what it took."""
    checkpoint = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    table_bytes = V * H * 2
    rate = _read_rate(folder)
    probe, probe_cached = _run(_PROBE, folder, rounds)
    auto, auto_cached = _run(_AUTO_MODEL, folder, rounds)
    whole, _ = _run(_WHOLE_MODEL, folder, 1)
    rows = [
        ["`load_vocabulary`, from disk", *_cells(probe, table_bytes)],
        ["`load_vocabulary`, cached", *_cells(probe_cached, table_bytes)],
        ["`AutoModel.from_pretrained`, from disk", *_cells(auto, table_bytes)],
        ["`AutoModel.from_pretrained`, cached", *_cells(auto_cached, table_bytes)],
        ["the same with every weight read, from disk", *_cells(whole, table_bytes)],
    ]
    shards = len(list(folder.glob("*.safetensors")))
    return "\n".join(
        [
            f"Checkpoint {checkpoint / 1e9:.2f} GB in {shards} shards, table "
            f"{table_bytes / 1e6:.0f} MB; the disk reads {rate / 1e9:.2f} GB/s.\n",
            table(
                ["contender", "load (s)", "+ table read (s)", "growth (MB)", "growth ÷ table"],
                rows,
            ),
            f"\nFrom disk, `from_pretrained` takes {auto.load_s / probe.load_s:.0f} × the time of "
            f"`load_vocabulary` (aim 20), {auto.read_s / probe.read_s:.0f} × with the table read, "
            f"and {whole.read_s / probe.read_s:.0f} × as a model that can run. Cached: "
            f"{auto_cached.load_s / probe_cached.load_s:.1f} × and, with the table read, "
            f"{auto_cached.read_s / probe_cached.read_s:.1f} ×. `load_vocabulary` grows by "
            f"{max(probe.grown, probe_cached.grown) / table_bytes:.2f} × the table (aim 1.2 at "
            f"most). The disk alone needs {table_bytes / rate:.2f} s for the table: "
            f"{table_bytes / rate / probe.read_s:.0%} of the time with the table read.",
        ]
    )


@dataclass(frozen=True)
class Figures:
    """What one contender took, medians over the rounds."""

    load_s: float
    read_s: float
    """Load and reading, together."""
    grown: float
    """Bytes."""


def _cells(figures: Figures, table_bytes: int) -> list[str]:
    return [
        f"{figures.load_s:.2f}",
        f"{figures.read_s:.2f}",
        f"{figures.grown / 1e6:,.0f}",
        f"{figures.grown / table_bytes:.2f}",
    ]


def _run(code: str, folder: Path, rounds: int) -> tuple[Figures, Figures]:
    """A contender's figures from disk and cached."""
    command = [sys.executable, "-c", code, str(folder)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    taken: tuple[list[list[float]], list[list[float]]] = ([], [])
    for _ in range(rounds):
        _drop_from_cache(folder)
        for figures in taken:
            out = subprocess.check_output(command, env=environment, text=True)
            figures.append([float(number) for number in out.split()])
    cold, warm = (Figures(*map(median, zip(*figures, strict=True))) for figures in taken)
    return cold, warm


def _drop_from_cache(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _read_rate(folder: Path) -> float:
    """Bytes per second of plain sequential reading, from disk, of the last shard."""
    _drop_from_cache(folder)
    path, done = max(folder.glob("*.safetensors")), 0
    buffer = bytearray(1 << 24)
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while done < 1 << 30 and (got := file.readinto(buffer)):
            done += got
    return done / (time.perf_counter() - start)


def write_checkpoint(folder: Path, layers: int) -> None:
    """Write config, tokenizer and shards, one tensor at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer().save(str(folder / "tokenizer.json"))
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    for name, shape in _tensors(layers):
        if _bytes(shards[-1]) + 2 * prod(shape) > SHARD_BYTES:
            shards.append({})
        shards[-1][name] = shape
    files = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    noise = _noise()
    for file, tensors in zip(files, shards, strict=True):
        _write_shard(folder / file, tensors, noise)
    weight_map = {name: f for f, tensors in zip(files, shards, strict=True) for name in tensors}
    index = {"metadata": {"total_size": sum(map(_bytes, shards))}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": V,
        "hidden_size": H,
        "intermediate_size": F,
        "num_hidden_layers": layers,
        "num_attention_heads": 32,
        "tie_word_embeddings": False,
        "dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config))


def _tensors(layers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes in the order that transformers saves them."""
    yield "model.embed_tokens.weight", (V, H)
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for name in "qkvo":
            yield f"{at}self_attn.{name}_proj.weight", (H, H)
        yield f"{at}mlp.gate_proj.weight", (F, H)
        yield f"{at}mlp.up_proj.weight", (F, H)
        yield f"{at}mlp.down_proj.weight", (H, F)
        yield f"{at}input_layernorm.weight", (H,)
        yield f"{at}post_attention_layernorm.weight", (H,)
    yield "model.norm.weight", (H,)
    yield "lm_head.weight", (V, H)


def _bytes(tensors: dict[str, tuple[int, ...]]) -> int:
    return sum(2 * prod(shape) for shape in tensors.values())


def _noise() -> np.ndarray:
    """Bytes of bfloat16 normal numbers, written again and again."""
    values = np.random.default_rng(0).standard_normal(1 << 24, dtype=np.float32) * 0.02
    return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)


def _write_shard(path: Path, tensors: dict[str, tuple[int, ...]], noise: np.ndarray) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in tensors.items():
        start, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for done in range(0, end, len(noise)):
            file.write(noise[: end - done].data)
        os.fsync(file.fileno())


def _tokenizer() -> Tokenizer:
    """A byte-fallback BPE of V tokens, its merges included, as Llama's."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pairs = [a + b for a, b in product(["▁", *letters], letters)]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters]
    merges = [(pair[0], pair[1]) for pair in pairs]
    words = [(a, b) for a, b in product(pairs, pairs) if not b.startswith("▁")]
    merges += words[: V - len(tokens) - len(pairs)]
    tokens += [a + b for a, b in merges]
    vocab = {token: row for row, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab, merges, byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback()])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


if __name__ == "__main__":
    main()
