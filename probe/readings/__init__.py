"""Readings: what a soft prompt means, as ranked tokens or a text, each beside its controls.

`READINGS` lists them; `docs/readings.md` says how often each is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from probe.errors import NotDecodableError, ProbeError
from probe.readings.answer import answer_in_words
from probe.readings.displaced import read_displacement, read_displacement_centred
from probe.readings.hit_rates import HitRate, hit_rate, rates_on, start_kind
from probe.readings.mixture import read_mixture
from probe.readings.nearest import read_nearest
from probe.readings.reading import Read, Reading, Subject
from probe.readings.sparse import read_sparse
from probe.texts import did_you_mean


def _read_promoted(subject: Subject) -> Reading:
    from probe.readings.promoted import read_promoted  # torch comes with it

    return read_promoted(subject)


def _read_ask(subject: Subject) -> Reading:
    from probe.readings.ask import read_ask  # torch comes with it

    return read_ask(subject)


def _read_gradient(subject: Subject) -> Reading:
    from probe.readings.gradient import read_gradient  # torch comes with it

    return read_gradient(subject)


def _read_lens(subject: Subject) -> Reading:
    from probe.readings.insides import read_lens  # torch comes with it

    return read_lens(subject)


def _read_patching(subject: Subject) -> Reading:
    from probe.readings.insides import read_patching  # torch comes with it

    return read_patching(subject)


@dataclass(frozen=True)
class Kind:
    """A way to read."""

    read: Read
    needs_model: bool = False
    by_default: bool = False


READINGS = {
    "nearest": Kind(read_nearest, by_default=True),
    "displacement": Kind(read_displacement, by_default=True),
    "displacement_centred": Kind(read_displacement_centred),
    "sparse": Kind(read_sparse),
    "mixture": Kind(read_mixture),
    "promoted": Kind(_read_promoted, needs_model=True),
    "ask": Kind(_read_ask, needs_model=True),
    "gradient": Kind(_read_gradient, needs_model=True),
    "lens": Kind(_read_lens, needs_model=True),
    "patching": Kind(_read_patching, needs_model=True),
}
ALL = "all"
DEFAULT_READINGS = tuple(name for name, kind in READINGS.items() if kind.by_default)


def named_readings(asked: Sequence[str]) -> list[str]:
    """The readings asked for, each once: the usual ones where none are, every one for `all`.

    Args:
        asked: names, each one or several with commas between.
    """
    given = (name.strip() for one in asked for name in one.split(","))
    names = [other for name in given if name for other in (READINGS if name == ALL else (name,))]
    return list(dict.fromkeys(names)) or list(DEFAULT_READINGS)


def needs_model(names: Sequence[str]) -> bool:
    """Whether one of these readings runs the model.

    Raises:
        ValueError: there is no such reading.
    """
    for name in names:
        if name not in READINGS:
            raise ValueError(
                f"expected one of the readings {', '.join(READINGS)}, found {name!r}"
                + did_you_mean(name, READINGS)
            )
    return any(READINGS[name].needs_model for name in names)


def read_all(subject: Subject, names: Sequence[str]) -> list[Reading]:
    """Every reading asked for, with its hit rate; one that this prompt does not have says why.

    Raises:
        ProbeError: the prompt has none of them.
    """
    found = []
    start = start_kind(subject.prompt)
    for name in names:
        try:
            rate = hit_rate(name, len(subject.prompt), subject.rates, start)
            found.append(replace(READINGS[name].read(subject), hit_rate=rate))
        except NotDecodableError as error:
            found.append(Reading(name, refused=str(error)))
    if all(one.refused for one in found):
        raise ProbeError("; ".join(dict.fromkeys(str(one.refused) for one in found)))
    return found
