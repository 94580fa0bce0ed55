"""What a prompt means: its readings beside their controls, and texts scored in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.errors import NotDecodableError
from probe.notes import collected
from probe.prompt import AnyPrompt, PromptPair
from probe.readings import DEFAULT_READINGS, Reading, Subject, answer_in_words, read_all
from probe.readings import needs_model as running
from probe.store import Workspace
from probe.task import TEXT_SLOT
from probe.verbs.asking import Asker, askers, note_doubts
from probe.verbs.checks import check_models
from probe.verbs.decoding import taken_for, vocabulary_of, with_start
from probe.verbs.naming import option_names

if TYPE_CHECKING:
    import pandas as pd

    from probe.models import FrozenModel
    from probe.readings.plug_in import TextScore


@dataclass(frozen=True)
class ReadPrompt:
    """What `probe read` found."""

    prompt: str
    model: str
    answer: str
    """The readings in a sentence."""
    readings: tuple[Reading, ...]
    scored_texts: tuple[TextScore, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document `probe read --json` prints."""
        return {
            "prompt": self.prompt,
            "model": self.model,
            "answer": self.answer,
            "readings": [one.to_json() for one in self.readings],
            "scored_texts": [one.to_json() for one in self.scored_texts],
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per reading and token."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"reading": one.name, "rank": rank, "token": token.token, "score": token.score}
                for one in self.readings
                for rank, token in enumerate(one.tokens, start=1)
            ]
        )


@option_names(text_to_score="texts_to_score")
def read(
    prompt: AnyPrompt | str | Path,
    model: str | Path | None = None,
    *,
    readings: str | Sequence[str] = DEFAULT_READINGS,
    texts_to_score: Sequence[str] = (),
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    workspace: Workspace | None = None,
) -> ReadPrompt:
    """What a prompt means, as readings of known hit rate have it.

    Args:
        prompt: a prompt, or anything `load` takes that holds one.
        model: the base model; the prompt's own when None.
        readings: any of `nearest`, `displacement`, `promoted`, as a list or with commas between;
            `promoted` runs the model.
        texts_to_score: guesses, put in the prompt's place: the share of its effect that each has.
        seed: of controls, answers and intervals.
        device: as torch names it; a GPU if there is one when None.
        dtype: precision of the model; float32 when None.
        workspace: the default one when None.

    Raises:
        ModelNotFoundError: no base model is known, or it cannot be read.
        ProbeError: the prompt cannot be read, or has none of the readings.
        ValueError: there is no such reading.
    """
    names = _names(readings)
    needed = running(names) or bool(texts_to_score)
    workspace = workspace or Workspace()
    with collected() as notes:
        (asker,) = askers([prompt], model=model, workspace=workspace)
        one = _single(asker)
        vocabulary = vocabulary_of(one, None if model is None else str(model))
        opened = _opened(asker, device, dtype, workspace) if needed else None
        if opened is None:
            taken_for([one], vocabulary)
        template = _own_template(asker)
        subject = Subject(
            with_start(one, vocabulary),
            vocabulary,
            opened,
            template=template,
            seed=seed,
            cached=workspace.cached_arrays,
        )
        found = read_all(subject, names)
        scored: list[TextScore] = []
        if opened is not None and texts_to_score:
            from probe.readings.plug_in import score_texts

            scored = score_texts(opened, one, texts_to_score, template=template, seed=seed)
    return ReadPrompt(
        prompt=asker.name,
        model=asker.model,
        answer=answer_in_words(found, subject.stayed),
        readings=tuple(found),
        scored_texts=tuple(scored),
        notes=tuple(notes),
    )


def _names(readings: str | Sequence[str]) -> list[str]:
    given = readings.split(",") if isinstance(readings, str) else readings
    names = list(dict.fromkeys(name.strip() for name in given if name.strip()))
    return names or list(DEFAULT_READINGS)


def _single(asker: Asker) -> AnyPrompt:
    if isinstance(asker.prompt, PromptPair):
        raise NotDecodableError(
            f"{asker.name} is an encoder and a decoder prompt: name one of them as PATH#NAME"
        )
    return asker.prompt


def _opened(
    asker: Asker, device: str | None, dtype: str | None, workspace: Workspace
) -> FrozenModel:
    check_models([(asker.model, asker.revision)], device=device, workspace=workspace)
    from probe.models import load_model

    opened = load_model(asker.model, revision=asker.revision, device=device, dtype=dtype)
    note_doubts(opened, [asker])
    return opened


def _own_template(asker: Asker) -> str | None:
    """The template a prompt was trained in, if a question alone fills it."""
    own = asker.own_words[0]
    return own if own is not None and TEXT_SLOT in own else None
