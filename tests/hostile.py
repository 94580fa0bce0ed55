"""A tiny model whose vocabulary attacks whatever shows it: markup, markup languages, directions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

HOSTILE = (
    "<script>window.attacked=1</script>",
    "<img src=x onerror=window.attacked=1>",
    "<b>bold</b>",
    "**stars**",
    "pipe|pipe",
    "line\nbreak",
    "\u202erotcerid",
    ":material/home:",
    "$x^2$",
    "[link](javascript:window.attacked=1)",
    '"quoted", and comma',
    "{{ 7 * 7 }}",
    "%{x}",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "\x1b[31mred\x1b]0;title\x07",
    "`code`",
    "</script><!--",
)
WIDTH = 24
ROWS = 64


def write_hostile_model(folder: Path) -> Path:
    """A llama-shaped folder with a table [ROWS, WIDTH]; its first tokens are the hostile ones."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [*HOSTILE, *(f"word{i}" for i in range(ROWS - len(HOSTILE)))]
    tokenizer = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate(words)}, unk_token=words[-1])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": ROWS}
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": WIDTH}))
    save_file({"model.embed_tokens.weight": table()}, str(folder / "model.safetensors"))
    return folder


def table() -> np.ndarray:
    """The embedding table, [ROWS, WIDTH]."""
    return np.random.default_rng(7).standard_normal((ROWS, WIDTH)).astype(np.float32)


def prompt_rows() -> np.ndarray:
    """A prompt whose i-th position lies nearest to the i-th hostile token, [P, WIDTH]."""
    noise = np.random.default_rng(8).standard_normal((len(HOSTILE), WIDTH))
    return (table()[: len(HOSTILE)] + 0.1 * noise).astype(np.float32)
