"""Fuzz the GGUF reader: damaged files end in a vocabulary, a running model or one clear error.

Every case is made from the seed and its number alone, so `--first N --cases 1` repeats case N.
A case fails when anything but `ModelNotFoundError` comes out, when its message has several lines,
when it takes more than its share of time or memory, or when a warning is given.
"""

from __future__ import annotations

import argparse
import os
import random
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_mutations import NUMBERS, mutate
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from report import publish, table

from probe.errors import ModelNotFoundError
from probe.models import load_model
from probe.tables import load_vocabulary

MAX_S = 10.0
MAX_BYTES = 1 << 30
_RUN_SHARE = 0.1
_WORDS = [
    "<unk>",
    "<s>",
    "</s>",
    *(chr(33 + i) for i in range(90)),
    "Ġa",
    "▁a",
    "th",
    "the",
    "▁the",
]


@dataclass
class Tally:
    """What became of the cases so far."""

    read: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    ran: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    largest: tuple[int, str] = (0, "")


def main() -> None:
    """Run the cases, print the table, and fail when a case did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("error")
    tally = Tally()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROBE_HOME"] = str(Path(folder) / "home")
        whole = seeds(Path(folder))
        for number in range(args.first, args.first + args.cases):
            run_case(number, args.seed, whole, Path(folder), tally)
    seconds = time.perf_counter() - start
    for failure in tally.failures[:10]:
        print(failure, file=sys.stderr)
    report = _report(tally, args.seed, args.cases, seconds)
    publish("fuzz_gguf", "Damaged GGUF files", report, "gguf", "transformers", write=args.write)
    sys.exit(1 if tally.failures else 0)


def seeds(folder: Path) -> dict[str, bytes]:
    """Whole files: every kind of tokenizer, several types of tables, one that runs."""
    kinds = [1 + (row < 3) * 2 for row in range(len(_WORDS))]
    scores = [-float(row) for row in range(len(_WORDS))]
    shared = {"tokens": _WORDS, "token_type": kinds, "bos_token_id": 1, "eos_token_id": 2}
    shared |= {"unknown_token_id": 0, "seperator_token_id": 2}
    merges = {"merges": ["t h", "th e"], "pre": "qwen2"}
    found = {}
    for name, architecture, fields, kind in (
        ("byte-level", "qwen2", {"model": "gpt2"} | merges, "Q8_0"),
        ("SentencePiece", "llama", {"model": "llama", "scores": scores}, "Q4_0"),
        ("Gemma", "gemma2", {"model": "llama", "scores": scores}, "BF16"),
        ("WordPiece", "bert", {"model": "bert"}, "F16"),
        ("unigram", "t5", {"model": "t5", "scores": scores}, "Q5_1"),
    ):
        tensors = _tensors() if architecture == "qwen2" else _tensors(layers=0)
        found[name] = _written(folder / "seed.gguf", architecture, shared | fields, tensors, kind)
    return found


def _tensors(layers: int = 2) -> dict[str, tuple[int, ...]]:
    """Shapes of a tiny Qwen 2."""
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (len(_WORDS), 32)}
    for layer in range(layers):
        block = {
            **dict.fromkeys(("attn_q.weight", "attn_output.weight"), (32, 32)),
            **dict.fromkeys(("attn_k.weight", "attn_v.weight"), (16, 32)),
            **dict.fromkeys(("ffn_gate.weight", "ffn_up.weight"), (64, 32)),
            "ffn_down.weight": (32, 64),
            **dict.fromkeys(("attn_norm.weight", "ffn_norm.weight", "attn_q.bias"), (32,)),
            **dict.fromkeys(("attn_k.bias", "attn_v.bias"), (16,)),
        }
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    return shapes | {"output_norm.weight": (32,)}


def _written(
    path: Path,
    architecture: str,
    fields: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    kind: str,
) -> bytes:
    writer = GGUFWriter(path, architecture)
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    add: dict[type, Callable[[str, Any], None]] = {int: writer.add_uint32}
    add |= {str: writer.add_string, list: writer.add_array}
    for key, value in fields.items():
        add[type(value)](f"tokenizer.ggml.{key}", value)
    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        values = rng.normal(0, 0.1, shape).astype(np.float32)
        number = GGMLQuantizationType[kind if len(shape) == 2 else "F32"]
        writer.add_tensor(name, quantize(values, number), raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def run_case(number: int, seed: int, whole: dict[str, bytes], folder: Path, tally: Tally) -> None:
    """Damage one file, read it, and run it if it still can be."""
    rng = random.Random(f"{seed}/{number}")
    name = rng.choice(list(whole))
    (folder / "case.gguf").write_bytes(_damaged(whole[name], rng, list(whole.values())))
    what = f"case {number} ({name})"
    Path("/proc/self/clear_refs").write_text("5")
    before, started = _memory("VmRSS"), time.process_time()
    try:
        found = load_vocabulary(folder / "case.gguf")
        if found.codec is not None:
            found.decode(found.encode("the a 12 ü"))
        if name == "byte-level" and rng.random() < _RUN_SHARE:
            load_model(folder / "case.gguf")
            tally.ran += 1
        tally.read[name] += 1
    except ModelNotFoundError as error:
        tally.refused[name] += 1
        if "\n" in str(error) or not str(error):
            tally.failures.append(f"{what}: no single line: {str(error)!r}")
    except Exception:
        tally.failures.append(f"{what}: {traceback.format_exc()}")
    spent, grown = time.process_time() - started, _memory("VmHWM") - before
    if spent > MAX_S or grown > MAX_BYTES:
        tally.failures.append(f"{what}: {spent:.1f} s, {grown / 1e6:.0f} MB")
    tally.slowest = max(tally.slowest, (spent, what))
    tally.largest = max(tally.largest, (grown, what))


def _damaged(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Extreme numbers where the header has numbers, or blind damage."""
    if rng.random() < 0.4:
        return mutate(data, rng, others)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        width = rng.choice((1, 4, 8))
        at = rng.randrange(4, len(data) * 2 // 3)
        value = rng.choice(NUMBERS) % (1 << (8 * width))
        changed[at : at + width] = struct.pack("<Q", value)[:width]
    return bytes(changed)


def _memory(field_name: str) -> int:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(field_name))
    return int(line.split()[1]) * 1024


def _report(tally: Tally, seed: int, cases: int, seconds: float) -> str:
    names = sorted({*tally.read, *tally.refused})
    lines = [[name, str(tally.read[name]), str(tally.refused[name])] for name in names]
    total = ["**all**", str(tally.read.total()), str(tally.refused.total())]
    return (
        f"{cases:,} cases, seed {seed}: {len(tally.failures)} failures. {cases / seconds:.0f} "
        f"cases/s; {tally.ran} damaged models ran all the same. Slowest: {tally.slowest[0]:.2f} s "
        f"of processor time, {tally.slowest[1]}. Most memory above the process before the case: "
        f"{tally.largest[0] / 1e6:.1f} MB, {tally.largest[1]}.\n\n"
        + table(["file", "read all the same", "refused"], [*lines, total])
    )


if __name__ == "__main__":
    main()
