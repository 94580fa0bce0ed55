"""Train the byte-level BPE tokenizer of `builtin`.

    python -m recipes.builtin.tokenizer CORPUS --out build/tokenizer

The merges are learned on the text that the model will read, rewritten documents included.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from recipes.builtin.data import read_documents, rewritten

END_OF_TEXT = "<|endoftext|>"
VOCABULARY = 16_384


def train_tokenizer(documents: Iterable[str], size: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer whose only special token is `<|endoftext|>`, with id 0."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(documents, trainer)
    names = ("bos_token", "eos_token", "pad_token", "unk_token")
    return PreTrainedTokenizerFast(tokenizer_object=bpe, **dict.fromkeys(names, END_OF_TEXT))


def every(documents: Iterable[str], stride: int) -> Iterator[str]:
    """One document of each `stride`: merges need less text than weights do."""
    return (document for number, document in enumerate(documents) if number % stride == 0)


def main() -> None:
    """Train a tokenizer and write its folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpus", type=Path, nargs="+", help="folders of .txt and .txt.xz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=VOCABULARY, help="tokens")
    parser.add_argument("--stride", type=int, default=2, help="learn from every such document")
    parser.add_argument("--seed", type=int, default=0, help="which documents are rewritten")
    args = parser.parse_args()
    documents = every(rewritten(read_documents(args.corpus), args.seed), args.stride)
    tokenizer = train_tokenizer(documents, args.size)
    tokenizer.save_pretrained(args.out)
    print(f"{len(tokenizer)} tokens in {args.out}")


if __name__ == "__main__":
    main()
