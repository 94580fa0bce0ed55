"""Bits per byte of a model on held-out texts.

    python -m recipes.builtin.heldout probe/builtin heldout_wikipedia.txt heldout_film_reviews.txt

The documents of a text are separated by lines holding only U+001E. Each is read in windows of 256
tokens from its start, behind one end-of-text token; a window sees nothing of the one before. The
figure is the sum of the nats of all tokens of the documents, divided by ln 2 and by their UTF-8
bytes, so models with different tokenizers can be compared.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from recipes.builtin.data import WINDOW, split_text

_WINDOWS_AT_ONCE = 16
_NO_TARGET = -100


@dataclass(frozen=True)
class Heldout:
    """How well a model predicts one text."""

    nats: float
    """Sum over all tokens."""
    tokens: int
    bytes: int

    @property
    def nats_per_token(self) -> float:
        """Mean loss; comparable between models with the same tokenizer only."""
        return self.nats / self.tokens

    @property
    def bits_per_byte(self) -> float:
        """Comparable between all models."""
        return self.nats / math.log(2) / self.bytes


@torch.no_grad()
def heldout(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, text: str) -> Heldout:
    """Read a text in windows and add up what its tokens cost."""
    documents = split_text(text)
    nats, tokens = 0.0, 0
    windows = sorted(_windows(documents, tokenizer), key=len)  # like lengths pad little
    for start in range(0, len(windows), _WINDOWS_AT_ONCE):
        chunk = windows[start : start + _WINDOWS_AT_ONCE]
        padded = pad_sequence(chunk, batch_first=True, padding_value=_NO_TARGET).to(model.device)
        logits = model(input_ids=padded[:, :-1].clamp_min(0), use_cache=False).logits
        targets = padded[:, 1:]
        nats += float(
            cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="sum")
        )
        tokens += int((targets != _NO_TARGET).sum())
    return Heldout(nats, tokens, sum(len(document.encode()) for document in documents))


def _windows(documents: list[str], tokenizer: PreTrainedTokenizerFast) -> Iterator[Tensor]:
    """Token ids of every window with one token of context before it, [≤ WINDOW + 1]."""
    for ids in tokenizer(documents, add_special_tokens=False)["input_ids"]:
        whole = torch.tensor([tokenizer.bos_token_id, *ids])
        for start in range(0, len(ids), WINDOW):
            yield whole[start : start + WINDOW + 1]


def main() -> None:
    """Print one line per text."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="a transformers folder")
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.model, trust_remote_code=False)
    model = LlamaForCausalLM.from_pretrained(
        args.model, dtype=torch.float32, trust_remote_code=False
    ).to(args.device)
    for path in args.texts:
        found = heldout(model.eval(), tokenizer, path.read_text(encoding="utf-8"))
        print(
            f"{path.name}: {found.bits_per_byte:.3f} bits/byte, {found.nats_per_token:.2f} "
            f"nats/token, {found.tokens} tokens, {found.bytes} bytes"
        )


if __name__ == "__main__":
    main()
