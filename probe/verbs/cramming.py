"""How much text a few rows hold: the longest beginning with which the model writes it exactly."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probe.analysis.cramming import CrammedText, CrammedToken
from probe.errors import DataError
from probe.live import LiveModel
from probe.notes import collected, note
from probe.paths import at_home
from probe.prompt import SoftPrompt
from probe.requests import CramRequest, takes
from probe.results import Result
from probe.store import Workspace
from probe.tables import default_model
from probe.texts import counted
from probe.verbs.checks import check_models, named_model, require_writers

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from probe.models import CausalModel, FrozenModel
    from probe.training import TrainConfig
    from probe.training.cramming import Cramming, Predicted


@dataclass(frozen=True)
class Crammed(Result):
    """What `probe cram` found."""

    model: str
    rows: int
    accuracy: float
    """Share of a beginning's tokens that had to be right."""
    steps: int
    learning_rate: float
    seed: int
    texts: tuple[CrammedText, ...]
    seconds: float
    """From the opened model to the measured rows."""
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """One row per text; each has its `positions`."""
        import pandas as pd

        kept = [name for name in vars(self.texts[0]) if name not in ("positions", "growth")]
        return pd.DataFrame([{name: getattr(one, name) for name in kept} for one in self.texts])

    def headline(self) -> list[str]:
        """The longest text that is held, and what that says more than the model alone."""
        rows, best = counted(self.rows, "row"), max(self.texts, key=lambda one: one.longest)
        exactly = "exactly" if best.right == best.longest else f"{best.right} of"
        lines = [
            f"{rows} of {self.model} {'holds' if self.rows == 1 else 'hold'} {exactly} "
            f"{counted(best.longest, 'token')}, {best.right_without} of which the model alone has "
            f"right: {best.information_gain_nats:.1f} nats gained."
        ]
        if len(self.texts) > 1:
            every = ", ".join(str(one.longest) for one in self.texts)
            lines.append(f"Of {len(self.texts)} texts: {every} tokens.")
        if any(one.longest == one.tokens for one in self.texts):
            lines.append("A text was held whole: a longer one may be too.")
        return lines

    def figures(self) -> dict[str, go.Figure]:
        """What every token costs, and how far training came."""
        from probe.charts import cramming_growth, cramming_nats

        figures = {"Nats of every token with the rows and without": cramming_nats(self.texts)}
        if any(one.growth for one in self.texts):
            figures["Tokens held as training went on"] = cramming_growth(self.texts)
        return figures


@takes(CramRequest)
def cram(asked: CramRequest) -> Crammed:
    """Train rows with which a frozen model writes a text, and say how much of it they hold.

    Kuratov et al. 2025, arXiv 2502.13063. All texts are trained in one pass, each with rows of its
    own, on a beginning that grows whenever it is held.

    Raises:
        DataError: a text is empty, or a file cannot be read.
        ModelNotFoundError: there is no such model, or it writes no text.
        TrainingError: the model does not write from left to right, or the start is none.
    """
    texts = [_text(given) for given in asked.text]
    workspace = Workspace(asked.workspace)
    named = named_model(asked.model) or default_model()
    require_writers(check_models([(named, None)], device=asked.device, workspace=workspace))
    from probe.models.loading import fast_dtype
    from probe.studies.sources import load_frozen
    from probe.training import TrainConfig
    from probe.training.cramming import Cramming

    # One in memory runs in its own precision.
    fast = None if isinstance(named, LiveModel) else fast_dtype(asked.device)
    model = load_frozen(named, device=asked.device, dtype=asked.dtype or fast)
    began = time.perf_counter()
    config = TrainConfig(
        length=asked.rows,
        init=asked.init,
        seed=asked.seed,
        steps=asked.steps,
        batch_size=1,
        learning_rate=asked.lr,
        schedule="constant",
        eval_every=0,
    )
    with collected() as notes:
        ids = [_ids(model, text, asked) for text in texts]
        cramming = Cramming(model, ids, config, accuracy=asked.accuracy, patience=asked.patience)
        for look in cramming:
            if asked.on_look is not None:
                asked.on_look(look)
        found = _measured(cramming)
    seconds = time.perf_counter() - began
    kept = [None] * len(found) if asked.name is None else _kept(cramming, asked.name, workspace)
    return Crammed(
        model=str(named),
        rows=asked.rows,
        accuracy=asked.accuracy,
        steps=asked.steps,
        learning_rate=asked.lr,
        seed=asked.seed,
        texts=tuple(CrammedText(**one, prompt=name) for one, name in zip(found, kept, strict=True)),
        seconds=seconds,
        notes=tuple(notes),
    )


def _text(given: str) -> str:
    """A text, or that of the file of this name."""
    text = given
    if len(given) < 4096 and os.path.isfile(path := at_home(given)):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{given}: expected a text file ({error})") from error
    if not text.strip():
        raise DataError(f"expected a text to cram, found an empty one in {given!r}")
    return text.strip()


def _ids(model: FrozenModel, text: str, asked: CramRequest) -> list[int]:
    """The tokens that are to be held, no more than the model has places for."""
    ids = list(model.tokenizer(text, add_special_tokens=False)["input_ids"])
    ids = ids if asked.tokens is None else ids[: asked.tokens]
    room = len(ids) if model.positions is None else model.positions - asked.rows
    if len(ids) > room:
        note(f"of {counted(len(ids), 'token')} of a text the first {room} fit {model.name}")
    return ids[:room]


def _measured(cramming: Cramming) -> list[dict[str, Any]]:
    """What the rows hold of every text, beside the model alone."""
    from probe.training.cramming import FIRST, bare_row, crammed_row, predicted

    model, rows = cramming.model, cramming.rows
    shown = [
        ids[: max(2 * longest, FIRST)]
        for ids, longest in zip(cramming.texts, cramming.longest, strict=True)
    ]
    held = predicted(model, rows, [crammed_row(ids, len(rows[0])) for ids in shown])
    alone = predicted(model, None, [bare_row(model, ids) for ids in shown])
    greedy = _greedy(cramming)
    return [
        _measured_text(cramming, number, held[number], alone[number], greedy[number])
        for number in range(len(shown))
    ]


def _measured_text(
    cramming: Cramming, number: int, held: Predicted, alone: Predicted, greedy: int
) -> dict[str, Any]:
    ids, longest = cramming.texts[number], cramming.longest[number]
    growth, decode = cramming.history[number], cramming.model.tokenizer.decode
    right, without = int(held.right[:longest].sum()), int(alone.right[:longest].sum())
    nats, bare = float(held.nats[:longest].sum()), float(alone.nats[:longest].sum())
    return {
        "beginning": str(decode(ids[:longest])),
        "tokens": len(ids),
        "longest": longest,
        "updates": growth[-1][0] if growth else 0,
        "stopped": cramming.training.runs[number].stopped or "",
        "right": right,
        "right_without": without,
        "tokens_gained": right - without,
        "greedy": greedy,
        "nats": nats,
        "nats_without": bare,
        "information_gain_nats": bare - nats,
        "positions": tuple(
            CrammedToken(str(decode([token])), *map(bool, rights), *map(float, costs))
            for token, rights, costs in zip(
                ids,
                zip(held.right, alone.right, strict=True),
                zip(held.nats, alone.nats, strict=True),
                strict=False,
            )
        ),
        "growth": tuple(growth),
    }


def _greedy(cramming: Cramming) -> list[int]:
    """Tokens of each beginning that the model writes of itself before it errs."""
    import torch

    from probe.training.cramming import injection_of_rows, start_row

    most, model = max(cramming.longest), cramming.model
    if most == 0:
        return [0] * len(cramming.texts)
    rows = [start_row(len(one)) for one in cramming.rows]
    which = torch.arange(len(rows))
    injection = injection_of_rows(model, cramming.rows)
    written = model.generate_ids(injection, rows, which, max_new_tokens=most)
    return [
        _common(made, ids[:longest])
        for made, ids, longest in zip(written, cramming.texts, cramming.longest, strict=True)
    ]


def _common(written: Sequence[int], ids: Sequence[int]) -> int:
    """Tokens at the beginning of both."""
    count = 0
    for one, other in zip(written, ids, strict=False):
        if one != other:
            break
        count += 1
    return count


def _kept(cramming: Cramming, name: str, workspace: Workspace) -> list[str]:
    several = len(cramming.rows) > 1
    return [
        workspace.save(
            SoftPrompt(
                f"{name}-{number}" if several else name,
                rows,
                base_model=cramming.model.name,
                method="prompt_tuning",
                init_token_ids=cramming.start_ids,
                metrics={"tokens_held": longest, "step": growth[-1][0] if growth else 0},
                config=_config(cramming, ids[:longest], cramming.training.runs[0].config),
            )
        ).id
        for number, (rows, longest, growth, ids) in enumerate(
            zip(cramming.rows, cramming.longest, cramming.history, cramming.texts, strict=True),
            start=1,
        )
    ]


def _config(cramming: Cramming, ids: Sequence[int], config: TrainConfig) -> dict[str, Any]:
    model: CausalModel = cramming.model
    return {
        "family": model.family,
        "crammed": str(model.tokenizer.decode(list(ids))),
        "accuracy": cramming.accuracy,
        "training": config.to_dict(),
        "model_sha256": cramming.training.weights,
        "task_type": model.peft_task,
    }
