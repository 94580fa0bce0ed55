"""docs/architectures.md: what holds of every architecture.

python -m tests.models.architectures_page    # writes it
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
import transformers

from tests.models.architecture_findings import examine
from tests.models.every_architecture import ARCHITECTURES, NOT_BUILT, Architecture

PAGE = Path(__file__).parents[2] / "docs" / "architectures.md"


def page_row(architecture: Architecture) -> str:
    """The architecture's line of the page."""
    found = examine(architecture)
    cells = [architecture.model_type, *dataclasses.astuple(found)]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def page(row: Callable[[Architecture], str] = page_row) -> str:
    """docs/architectures.md."""
    built = [each for each in ARCHITECTURES if str(each) not in NOT_BUILT]
    parts = [_HEAD.format(built=len(built), missing=len(NOT_BUILT))]
    for kind in dict.fromkeys(each.kind for each in built):
        rows = [row(each) for each in built if each.kind == kind]
        parts.append("\n".join([f"## {kind.capitalize()}\n", *_TABLE_HEAD, *rows]))
    missing = [f"- {name}: {reason}" for name, reason in NOT_BUILT.items()]
    parts.append("\n".join(["## Not built\n", *missing]))
    return "\n\n".join(parts) + "\n"


_HEAD = """# Architectures

Written by `python -m tests.models.architectures_page`; `tests/models/test_every_architecture.py`
checks every line.

Each of the {built} causal, encoder–decoder and masked architectures of transformers
{version} below was built from a tiny configuration with random weights, saved, and read
by `probe`; {missing} more could not be built and are listed at the end.

- **table**: the rows `probe` reads from the files are those that the model's embedding layer
  answers, factor included.
- **loss**: scores without a prompt are those of transformers given token ids, to 1e-4 nats.
- **tokens**: a prompt made of the rows of a text scores as the text itself, to 1e-4 nats.
- **PEFT**: probabilities under a prompt are those of PEFT's prompt tuning, to 1e-5.
- **generate**: greedy continuations of texts of different lengths in one batch are those of
  transformers given token ids.
- **decode**: a prompt made of the rows of tokens is decoded as these tokens, at distance 0 by l2
  and by cosine.

*refused* means one line, in the last column, before anything runs.""".replace(
    "{version}", transformers.__version__
)
_TABLE_HEAD = (
    "| architecture | table | loss | tokens | PEFT | generate | decode | refused because |",
    "|-|-|-|-|-|-|-|-|",
)

if __name__ == "__main__":
    torch.set_num_threads(1)
    PAGE.write_text(page(), encoding="utf-8")
