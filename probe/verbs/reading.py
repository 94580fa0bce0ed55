"""What a prompt means: its readings beside their controls, and texts scored in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from probe.notes import collected
from probe.readings import Reading, Subject, answer_in_words, named_readings, rates_on, read_all
from probe.readings import needs_model as running
from probe.requests import ReadRequest, takes
from probe.results import Result
from probe.store import Workspace
from probe.task import TEXT_SLOT
from probe.verbs.checks import check_models, named_model
from probe.verbs.decoding import taken_for, vocabulary_of, with_start
from probe.verbs.prompts import LoadedPrompt, load_prompts, open_model
from probe.vocabulary import Vocabulary

if TYPE_CHECKING:
    from probe.models import FrozenModel
    from probe.readings.plug_in import TextScore


@dataclass(frozen=True)
class ReadPrompt(Result):
    """What `probe read` found."""

    prompt: str
    model: str
    answer: str
    """The readings in a sentence."""
    readings: tuple[Reading, ...]
    scored_texts: tuple[TextScore, ...] = ()
    notes: tuple[str, ...] = ()

    def headline(self) -> list[str]:
        """What its readings say together."""
        return [self.answer]

    def _rows(self) -> list[dict[str, Any]]:
        """One row per reading and token."""
        return [
            {"reading": one.name, "rank": rank, "token": token.token, "score": token.score}
            for one in self.readings
            for rank, token in enumerate(one.tokens, start=1)
        ]

    def _notebook_rows(self) -> list[dict[str, Any]]:
        """One row per reading: what it says, and what that is worth."""
        return [
            {
                "reading": one.name,
                "says": one.refused or one.text,
                "better than its controls": one.better_than_controls if one.p is not None else None,
                "names known texts": None if one.hit_rate is None else one.hit_rate.top1,
            }
            for one in self.readings
        ]


@takes(ReadRequest)
def read(asked: ReadRequest) -> ReadPrompt:
    """What a prompt means, as readings of known hit rate have it.

    Raises:
        ModelNotFoundError: no base model is known, or it cannot be read.
        ProbeError: the prompt cannot be read, or has none of the readings.
        ValueError: there is no such reading.
    """
    names = named_readings(asked.readings)
    needed = running(names) or bool(asked.text_to_score)
    workspace = Workspace(asked.workspace)
    with collected() as notes:
        table = asked.model if isinstance(asked.model, Vocabulary) and not needed else None
        named = named_model(asked.model) if table is None else table.name
        (loaded,) = load_prompts([asked.prompt], model=named, workspace=workspace)
        one = loaded.single
        vocabulary = vocabulary_of(one, asked.model)
        opened = _opened(loaded, asked) if needed else None
        if opened is None:
            taken_for([one], vocabulary)
        template = own_template(loaded)
        subject = Subject(
            with_start(one, vocabulary),
            vocabulary,
            opened,
            template=template,
            seed=asked.seed,
            cached=workspace.cached_arrays,
            rates=rates_on(vocabulary, workspace),
        )
        found = read_all(subject, names)
        scored: list[TextScore] = []
        if opened is not None and asked.text_to_score:
            from probe.readings.plug_in import score_texts

            texts, seed = asked.text_to_score, asked.seed
            scored = score_texts(opened, one, texts, template=template, seed=seed)
    return ReadPrompt(
        prompt=loaded.name,
        model=str(loaded.model),
        answer=answer_in_words(found, subject.stayed),
        readings=tuple(found),
        scored_texts=tuple(scored),
        notes=tuple(notes),
    )


def _opened(loaded: LoadedPrompt, asked: ReadRequest) -> FrozenModel:
    which = [(loaded.model, loaded.revision)]
    check_models(which, device=asked.device, workspace=asked.workspace)
    return open_model(asked, [loaded])


def own_template(loaded: LoadedPrompt) -> str | None:
    """The template a prompt was trained in, if a question alone fills it."""
    own = loaded.own_words[0]
    return own if own is not None and TEXT_SLOT in own else None
