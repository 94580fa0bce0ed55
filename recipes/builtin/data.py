"""From folders of text to one file of tokens that pretraining reads at random.

    python -m recipes.builtin.data CORPUS --tokenizer build/tokenizer --out build/tokens

A folder holds `.txt` and `.txt.xz` files in UTF-8, where a line holding only U+001E ends a
document; files named `heldout_*` are never read. The output folder holds `tokens.bin`, all
documents one after another as uint16, each behind one end-of-text token, and the tokenizer.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import AutoTokenizer, PreTrainedTokenizerFast

WINDOW = 256
"""Tokens the model reads at once while it is trained."""
TREEBANK_SHARE = 1 / 8
"""Share of the documents that are rewritten as the paper's film-review sentences are."""
_DOCUMENTS_AT_ONCE = 1000
_CLITIC = re.compile(r"(?<=\w)(n't|'(?:s|re|ve|ll|d|m))\b")
_MARK = re.compile(r"\.{2,}|--+|[.,:](?!\d)|[;!?()\"]")
_SQUEEZE = re.compile(r"[^\S\n]+")


def read_documents(folders: Sequence[Path]) -> Iterator[str]:
    """The documents of all folders, file by file in order of their names.

    Raises:
        FileNotFoundError: a folder holds no text to train on.
    """
    for folder in folders:
        files = sorted(path for path in folder.glob("*.txt*") if _to_train_on(path))
        if not files:
            raise FileNotFoundError(f"{folder} holds no .txt or .txt.xz to train on: give another")
        for path in files:
            yield from _split_documents(path)


def split_text(text: str) -> list[str]:
    """The documents of a text; white space around them is no part of them."""
    parts = (part.strip() for part in re.split(r"^\x1e$", text, flags=re.MULTILINE))
    return [part for part in parts if part]


def rewritten(documents: Iterable[str], seed: int, share: float = TREEBANK_SHARE) -> Iterator[str]:
    """The documents, a share of them lower-cased with spaced punctuation, half of it each way."""
    rng = np.random.default_rng([seed, 1])
    for document in documents:
        draw = rng.random()
        if draw < share / 2:
            yield as_treebank(document)
        elif draw < share:
            yield as_subjectivity(document)
        else:
            yield document


def as_subjectivity(text: str) -> str:
    """Text as Subj is written, `it's a gem ( almost ) , they said .`, lines kept."""
    return _tidy(_MARK.sub(r" \g<0> ", text.lower()))


def as_treebank(text: str) -> str:
    """Text as SST is written, like Subj but `it 's`, `do n't`, `-lrb-` and `-rrb-`."""
    apart = as_subjectivity(_CLITIC.sub(r" \1", text.lower()))
    return apart.replace("(", "-lrb-").replace(")", "-rrb-")


def write_tokens(documents: Iterable[str], tokenizer: PreTrainedTokenizerFast, folder: Path) -> int:
    """Write `tokens.bin` and the tokenizer to a folder; return the number of tokens.

    Raises:
        ValueError: the vocabulary does not fit 16 bits.
    """
    if len(tokenizer) > 1 << 16:
        raise ValueError(f"expected at most 65,536 tokens, found {len(tokenizer)}: train a smaller")
    folder.mkdir(parents=True, exist_ok=True)
    aside, total = folder / "tokens.partial", 0
    remaining = iter(documents)
    with aside.open("wb") as file:
        while chunk := list(islice(remaining, _DOCUMENTS_AT_ONCE)):
            for ids in tokenizer(chunk, add_special_tokens=False)["input_ids"]:
                np.array([tokenizer.eos_token_id, *ids], np.uint16).tofile(file)
                total += len(ids) + 1
    tokenizer.save_pretrained(folder)
    aside.rename(folder / "tokens.bin")
    return total


class Windows:
    """Batches of windows over a file of tokens, in an order that is a function of the step.

    Every pass cuts the file at another offset and visits all its windows once, shuffled.
    """

    def __init__(self, folder: Path, batch_size: int, seed: int) -> None:
        self._tokens = np.memmap(folder / "tokens.bin", np.uint16, mode="r")
        self._batch_size, self._seed = batch_size, seed
        self._order: tuple[int, NDArray[np.int64]] | None = None
        self.steps_per_pass = (len(self._tokens) // WINDOW - 2) // batch_size
        if self.steps_per_pass < 1:
            raise ValueError(
                f"expected at least {(batch_size + 2) * WINDOW} tokens for one batch, "
                f"found {len(self._tokens)}: give more text or a smaller batch"
            )

    def at(self, step: int) -> NDArray[np.int64]:
        """The batch of a step, [B, WINDOW + 1]: inputs and, one to the right, targets."""
        number, place = divmod(step, self.steps_per_pass)
        if self._order is None or self._order[0] != number:
            self._order = number, self._pass(number)
        starts = self._order[1][place * self._batch_size : (place + 1) * self._batch_size]
        return self._tokens[starts[:, None] + np.arange(WINDOW + 1)].astype(np.int64)

    def _pass(self, number: int) -> NDArray[np.int64]:
        """First tokens of the windows of one pass over the file, shuffled."""
        rng = np.random.default_rng([self._seed, 2, number])
        windows = self.steps_per_pass * self._batch_size
        return rng.permutation(len(self._tokens) // WINDOW - 2)[:windows] * WINDOW + rng.integers(
            WINDOW
        )


def _to_train_on(path: Path) -> bool:
    return path.name.endswith((".txt", ".txt.xz")) and not path.name.startswith("heldout_")


def _split_documents(path: Path) -> Iterator[str]:
    opened = lzma.open if path.suffix == ".xz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        lines: list[str] = []
        for line in file:
            if line.rstrip("\n") != "\x1e":
                lines.append(line)
                continue
            yield from split_text("".join(lines))
            lines = []
        yield from split_text("".join(lines))


def _tidy(text: str) -> str:
    return "\n".join(line.strip() for line in _SQUEEZE.sub(" ", text).split("\n"))


def main() -> None:
    """Tokenise folders of text."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, nargs="+", help="folders of .txt and .txt.xz")
    parser.add_argument("--tokenizer", type=Path, required=True, help="its folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="which documents are rewritten")
    args = parser.parse_args()
    began = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer, trust_remote_code=False)
    tokens = write_tokens(rewritten(read_documents(args.corpus), args.seed), tokenizer, args.out)
    facts = {"tokens": tokens, "seed": args.seed, "seconds": round(time.monotonic() - began)}
    (args.out / "facts.json").write_text(json.dumps(facts) + "\n")
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
