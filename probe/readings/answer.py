"""The readings of a prompt as one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probe.readings.reading import Reading
from probe.texts import counted

_WORDS = 6


def answer_in_words(readings: Sequence[Reading], stayed: tuple[int, int] | None) -> str:
    """What a prompt means as far as its readings tell.

    Args:
        readings: of one prompt.
        stayed: of how many rows, and of how many in all, the nearest token is where they started;
            None where the start is not known.
    """
    found: Mapping[str, Reading] = {one.name: one for one in readings if not one.refused}
    if "displacement" in found:
        return f"{_standing(stayed)}; {_learned(found['displacement'])}"
    if "promoted" in found:
        return f"It makes the model say: {_list(found['promoted'])}{_doubt(found['promoted'])}."
    if "nearest" in found:
        return _near(found["nearest"])
    first = next(iter(found.values()))
    if first.prose:
        return f"Read as {first.name}: {first.text}"
    return f"Read as {first.name}: {_list(first)}{_doubt(first)}."


def _near(nearest: Reading) -> str:
    unknown = "" if nearest.start else ", which may be where they started"
    return f"Its rows stand nearest to: {_list(nearest)}{unknown}{_doubt(nearest)}."


def _standing(stayed: tuple[int, int] | None) -> str:
    if stayed is None or stayed[0] == 0:
        return "Its rows have left the tokens they started from"
    near, of = stayed
    if near == of:
        return "Its rows stand where they started"
    stand = "stands where it" if near == 1 else "stand where they"
    return f"{near} of its {counted(of, 'row')} {stand} started"


def _learned(reading: Reading) -> str:
    if reading.better_than_controls is False:
        return (
            "what they learned points to no words more clearly than its control does (nearest to "
            f"it: {_list(reading)} …)."
        )
    return f"what they learned points to: {_list(reading)} …{_doubt(reading)}"


def _doubt(reading: Reading) -> str:
    if reading.better_than_controls is None:
        return " (no control tells whether this is more than noise)"
    return "" if reading.better_than_controls else " (no better than its control)"


def _list(reading: Reading) -> str:
    words = reading.text.split(", ")
    return ", ".join(words[:_WORDS])
