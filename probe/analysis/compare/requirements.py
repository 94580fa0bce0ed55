"""For which prompts is a measure defined?"""

from __future__ import annotations

from collections.abc import Sequence

from probe.analysis.compare.comparison import require_measure
from probe.errors import NotComparableError
from probe.measures import Measure, MeasureFacts
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt
from probe.texts import counted


def comparable(
    prompts: Sequence[AnyPrompt],
    measure: Measure,
    *,
    centre: bool = False,
    same_model: bool = False,
) -> list[SoftPrompt]:
    """The prompts, if a measure of rows is defined for every two of them.

    Args:
        prompts: N of them.
        measure: one that compares rows.
        centre: whether the mean row is to be subtracted, which takes one table.
        same_model: the user vouches for one base model; files that say otherwise are not heard.

    Raises:
        NotComparableError: it is not; two prompts and the reason are named.
        ValueError: the measure is unknown.
    """
    facts = require_measure(measure)
    needs = facts.needs
    soft = [_with_rows(prompt, measure) for prompt in prompts]
    if "table" in needs or centre:
        _check_tables(soft, measure if "table" in needs else "centring", same_model=same_model)
    if "length" in needs:
        _check_lengths(soft, measure, facts)
    return soft


def _with_rows(prompt: AnyPrompt, measure: str) -> SoftPrompt:
    if isinstance(prompt, KVPrefix):
        raise NotComparableError(
            f"{prompt.name} is a key/value prefix, it has no rows in embedding space, so {measure} "
            "is not defined for it: leave it out, or use neuron_overlap"
        )
    return prompt


def _check_tables(prompts: Sequence[SoftPrompt], what: str, *, same_model: bool) -> None:
    first = prompts[0]
    for other in prompts[1:]:
        if other.width != first.width:
            raise NotComparableError(
                f"{what} needs rows of one embedding table: {first.name} has width {first.width}, "
                f"{other.name} has width {other.width}"
            )
    known = [prompt for prompt in prompts if prompt.base_model is not None]
    for other in [] if same_model else known[1:]:
        if other.base_model != known[0].base_model:
            raise NotComparableError(
                f"{what} needs rows of one embedding table: {known[0].name} was trained on "
                f"{known[0].base_model}, {other.name} on {other.base_model}; name the model with "
                "--model (model= in Python) if they share it"
            )


def _check_lengths(prompts: Sequence[SoftPrompt], measure: str, facts: MeasureFacts) -> None:
    first = prompts[0]
    for other in prompts[1:]:
        if len(other) != len(first):
            raise NotComparableError(
                f"{measure} needs prompts of one length: {first.name} has "
                f"{counted(len(first), 'position')}, {other.name} has {len(other)}; use "
                "mean_token_cosine, chamfer or transport"
            )
    if len(first) < facts.least_length:
        raise NotComparableError(
            f"{measure} needs {facts.least_length} positions or more, {first.name} has "
            f"{len(first)}: use another measure"
        )
