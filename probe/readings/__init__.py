"""Readings: what a soft prompt means, as ranked tokens or a text, each beside its controls.

`READINGS` lists them; `docs/readings.md` says how often each is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pkgutil import resolve_name

from probe.errors import NotDecodableError, ProbeError
from probe.readings.answer import answer_in_words
from probe.readings.hit_rates import HitRate, hit_rate, rates_on, start_kind
from probe.readings.reading import Reading, Subject
from probe.texts import did_you_mean

__all__ = ["READINGS", "Reading", "Subject", "needs_model", "read_all"]


@dataclass(frozen=True)
class Kind:
    """A way to read."""

    function: str
    """Where it is, as `module:function` of this package: torch comes with some of them."""
    needs_model: bool = False
    by_default: bool = False

    def read(self, subject: Subject) -> Reading:
        """What it says of a prompt.

        Raises:
            NotDecodableError: the prompt does not have this reading.
        """
        found: Reading = resolve_name(f"{__name__}.{self.function}")(subject)
        return found


READINGS = {
    "nearest": Kind("nearest:read_nearest", by_default=True),
    "displacement": Kind("displaced:read_displacement", by_default=True),
    "displacement_centred": Kind("displaced:read_displacement_centred"),
    "sparse": Kind("sparse:read_sparse"),
    "mixture": Kind("mixture:read_mixture"),
    "promoted": Kind("promoted:read_promoted", needs_model=True),
    "ask": Kind("ask:read_ask", needs_model=True),
    "gradient": Kind("gradient:read_gradient", needs_model=True),
    "lens": Kind("insides:read_lens", needs_model=True),
    "patching": Kind("insides:read_patching", needs_model=True),
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
