"""What `probe` makes of a tiny random model of an architecture, beside transformers and PEFT."""

from __future__ import annotations

import copy
import dataclasses
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
from numpy.typing import NDArray
from torch import Tensor

from probe.analysis.decoding import Controls, decode
from probe.errors import ProbeError
from probe.models import FrozenModel, Row, load_model
from probe.models.generation import most_likely
from probe.models.injection import Batch, no_prompt
from probe.prompt import SoftPrompt
from probe.tables import load_vocabulary, model_facts
from tests.models.every_architecture import Architecture, build, quiet

TEXTS = ((6, 7, 9, 15, 18, 11, 10), (22, 8), (11, 9, 19, 22, 20, 21, 11, 9, 11, 12))
NEW_TOKENS = 4
LABELS = ((20, 12), (14, 17))
TOKENS = (14, 8, 21)
"""What the prompt of real tokens is made of."""
FIRST_WORD = 5
"""Ids in front of it are special tokens: some architectures keep rows of zeros for them."""
MASK = 4
YES = "yes"


@dataclass(frozen=True)
class Findings:
    """What holds of an architecture: `yes`, `refused`, or what happens instead."""

    table: str
    """The rows read from the model's files are those its embedding layer answers."""
    loss: str
    """Scores without a prompt are those of transformers given token ids, to 1e-4 nats."""
    tokens: str
    """A prompt made of a text's rows scores as the text itself does, to 1e-4 nats."""
    peft: str
    """Probabilities under a prompt are those of PEFT, to 1e-5."""
    generate: str
    """Greedy continuations, in a batch, are those of transformers given token ids."""
    decode: str
    """A prompt made of tokens is decoded as these, at distance 0 by l2 and cosine."""
    reason: str = ""
    """Why something is refused, in the words a user reads."""

    @property
    def wrong(self) -> list[str]:
        """What must not be."""
        return [f"{k}: {v}" for k, v in dataclasses.asdict(self).items() if v.startswith("no:")]


@cache
def examine(architecture: Architecture) -> Findings:
    """Build an architecture and see what holds."""
    with quiet(), tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        raw = build(architecture, folder)
        rows = _layer_rows(raw)
        told = model_facts(folder).reads_no_prompt
        table, decoded, *reasons = _table(folder, rows)
        try:
            model = load_model(folder, device="cpu")
        except ProbeError as error:
            refused = [_plainly(error, folder), *reasons]
            refusal = "refused" if told else "no: refused, but its files do not tell"
            return Findings(table, *[refusal] * 4, decoded, "; ".join(refused))
        if told:
            return Findings(table, *[f"no: it runs, but {told}"] * 4, decoded)
        return Findings(table, *_Running(model, raw).findings(), decoded, "; ".join(reasons))


def _layer_rows(raw: Any) -> NDArray[np.float32] | None:
    """What the embedding layer answers to every id, [V, H]."""
    layer = raw.get_input_embeddings()
    if not isinstance(layer, torch.nn.Module):
        return None
    with torch.no_grad():
        answer = layer(torch.arange(next(layer.parameters()).shape[0]))
    return (answer[0] if isinstance(answer, tuple) else answer).numpy()


def _table(folder: Path, rows: NDArray[np.float32] | None) -> tuple[str, ...]:
    """What holds of the table, and of decoding with it."""
    try:
        vocabulary = load_vocabulary(folder)
    except ProbeError as error:
        return "refused", "refused", _plainly(error, folder)
    if rows is None:
        return "no: it has no layer", "no: it has no layer"
    difference = np.abs(vocabulary.rows(slice(FIRST_WORD, None)) - rows[FIRST_WORD:]).max()
    table = YES if difference == 0 else f"no: rows differ by {difference:.1e}"
    prompt = SoftPrompt("tokens", rows[list(TOKENS)])
    for metric, exact in (("l2", 0.0), ("cosine", 1.0)):
        found = decode(
            prompt, vocabulary, metric=metric, k=1, controls=Controls(computed=False)
        ).positions
        nearest = [position.neighbours[0] for position in found]
        if [one.id for one in nearest] != list(TOKENS):
            return table, f"no: {[one.id for one in nearest]} by {metric}"
        if not np.allclose([one.score for one in nearest], exact, atol=1e-6):
            return table, f"no: {[one.score for one in nearest]} by {metric}"
    return table, YES


def _plainly(error: Exception, folder: Path) -> str:
    said = str(error).replace(str(folder), "the model")
    return re.sub(r"a loss of [\d.]+ instead of [\d.]+ nats", "another loss", said)


class _Running:
    """A model as `probe` runs it beside transformers' and PEFT's."""

    def __init__(self, model: FrozenModel, raw: Any) -> None:
        self.model = model
        self.raw = raw
        masked = model.family == "masked"
        start, end = ((2,), (3,)) if masked else ((), ())
        self.rows = [Row((*start, *text), LABELS, 0, end) for text in TEXTS]
        draw = torch.Generator().manual_seed(1)
        self.prompt = torch.randn(len(TOKENS), model.width, generator=draw) / 3

    def findings(self) -> tuple[str, str, str, str]:
        """Loss, a prompt of tokens, PEFT, generation."""
        return (
            self._same(None, self._truth(self.raw)),
            self._same(self._rows_of_tokens(), self._truth(self.raw, TOKENS)),
            self._as_peft(),
            self._continued(),
        )

    def _rows_of_tokens(self) -> Tensor:
        return self.model.embed_ids(torch.tensor(TOKENS))

    def _same(self, prompt: Tensor | None, truth: NDArray[np.float64]) -> str:
        difference = np.abs(self._scores(prompt) - truth).max()
        return YES if difference < 1e-4 else f"no: {difference:.1e} nats apart"

    @torch.no_grad()
    def _scores(self, prompt: Tensor | None) -> NDArray[np.float64]:
        given = [None if prompt is None else SoftPrompt("prompt", prompt.numpy())]
        return self.model.label_scores(self.model.injection_of(given), self.rows).double().numpy()

    def _as_peft(self) -> str:
        if (factor := self.model.input_factor) != 1:
            return f"PEFT leaves out the factor {factor:.3f} of looked-up rows"
        kinds = {"causal": "CAUSAL_LM", "encoder_decoder": "SEQ_2_SEQ_LM"}
        try:
            tuned = self._peft_model(kinds.get(self.model.family, "FEATURE_EXTRACTION"))
            truth = self._truth(tuned, ahead=len(self.prompt))
        except Exception as error:  # PEFT answers models it does not know with any exception
            return f"PEFT does not run it ({type(error).__name__})"
        difference = np.abs(np.exp(self._scores(self.prompt)) - np.exp(truth)).max()
        return YES if difference < 1e-5 else f"no: {difference:.1e} apart"

    @torch.no_grad()
    def _continued(self) -> str:
        if self.model.family == "masked":
            return "writes no text"
        rows = [dataclasses.replace(row, options=()) for row in self.rows]
        found = self.model._continue(
            Batch(no_prompt(), rows, [0] * len(rows)), NEW_TOKENS, most_likely
        )
        truth = [self._greedy(row.prefix_ids) for row in rows]
        return YES if found == truth else f"no: {found} instead of {truth}"

    def _greedy(self, text: Sequence[int]) -> list[int]:
        """The likeliest tokens behind a text, everything read anew for each."""
        written: list[int] = []
        while len(written) < NEW_TOKENS:
            if self.model.family == "causal":
                logits = _logits(self.raw, [*text, *written])
            else:
                start = self.raw.config.decoder_start_token_id
                ids = torch.tensor([[start, *written]])
                logits = _logits(self.raw, text, decoder_input_ids=ids)
            if (best := int(logits[-1].argmax())) in self.model.stops:
                break
            written.append(best)
        return written

    def _peft_model(self, task_type: str) -> Any:
        settings = peft.PromptTuningConfig(
            task_type=task_type,
            num_virtual_tokens=len(self.prompt),
            num_transformer_submodules=1,
            token_dim=self.model.width,
            num_layers=1,
            num_attention_heads=1,
        )
        tuned = peft.get_peft_model(copy.deepcopy(self.raw), settings).eval()
        tuned.prompt_encoder["default"].embedding.weight.data.copy_(self.prompt)
        return tuned

    @torch.no_grad()
    def _truth(self, run: Any, before: Sequence[int] = (), ahead: int = 0) -> NDArray[np.float64]:
        """Log-likelihoods [rows, labels], each text run by itself, given ids.

        Args:
            run: a model of transformers or PEFT.
            before: ids in front of the texts.
            ahead: virtual tokens in front of what `run` is given.
        """
        score = {
            "causal": self._causal_truth,
            "masked": self._masked_truth,
            "encoder_decoder": self._decoder_truth,
        }[self.model.family]
        return np.array(
            [
                [
                    score(run, (*before, *row.prefix_ids), row, option, ahead)
                    for option in row.options
                ]
                for row in self.rows
            ]
        )

    def _causal_truth(
        self, run: Any, before: Sequence[int], _: Row, option: Sequence[int], ahead: int
    ) -> float:
        logits = _logits(run, [*before, *option])[ahead + len(before) - 1 :]
        return _likelihood(logits, option)

    def _masked_truth(
        self, run: Any, before: Sequence[int], row: Row, option: Sequence[int], ahead: int
    ) -> float:
        logits = _logits(run, [*before, *[MASK] * len(option), *row.suffix_ids])
        return _likelihood(logits[ahead + len(before) :], option)

    def _decoder_truth(
        self, run: Any, before: Sequence[int], _: Row, option: Sequence[int], __: int
    ) -> float:
        start = self.raw.config.decoder_start_token_id
        ids = torch.tensor([[start, *option[:-1]]])
        return _likelihood(_logits(run, before, decoder_input_ids=ids), option)


def _logits(run: Any, ids: Sequence[int], **more: Tensor) -> Tensor:
    every = torch.ones(1, len(ids), dtype=torch.long)
    output: Tensor = run(input_ids=torch.tensor([ids]), attention_mask=every, **more).logits[0]
    return output.double()


def _likelihood(logits: Tensor, option: Sequence[int]) -> float:
    chosen = logits[: len(option)].log_softmax(-1)[range(len(option)), list(option)]
    return float(chosen.sum())
