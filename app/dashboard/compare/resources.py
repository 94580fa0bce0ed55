"""Comparisons of a pool of prompts, each computed once, and why some cannot be made."""

from __future__ import annotations

import streamlit as st

from dashboard.shared.limits import costly
from dashboard.shared.prompt_pool import BY_KEY, Pool
from probe.analysis.compare import (
    MEASURES,
    Comparison,
    Hierarchy,
    Measure,
    SharedTokens,
    comparable,
    hierarchy,
    shared_tokens,
)
from probe.analysis.decoding import Decoding
from probe.analysis.neighbours import Metric
from probe.errors import NotComparableError
from probe.verbs.comparing import compare
from probe.verbs.decoding import decode

ROW_MEASURES = tuple(name for name, facts in MEASURES.items() if facts.of_rows is not None)


def refusals(pool: Pool) -> dict[Measure, str]:
    """The measures that are not defined for these prompts, and why; nothing is computed."""
    prompts, found = pool.prompts, {}
    for measure in ROW_MEASURES:
        try:
            comparable(prompts, measure, same_model=True)
        except NotComparableError as error:
            found[measure] = str(error)
    return found


@st.cache_data(
    show_spinner="Comparing every prompt with every other …", max_entries=64, hash_funcs=BY_KEY
)
@costly
def comparison_of(
    pool: Pool,
    measure: Measure,
    *,
    centre: bool,
    change: bool,
    metric: Metric,
    k: int,
) -> tuple[Comparison, Hierarchy]:
    """A measure between every two prompts, and the order in which alike ones stand together.

    Raises:
        ProbeError: the measure is not defined for these prompts, or the model cannot be read.
    """
    facts = MEASURES[measure]
    by_table = facts.needs == "tokenizer" or change
    found = compare(
        pool.prompts,
        measure,
        centre=centre and facts.of_rows is not None,
        change=change and facts.of_rows is not None,
        model=pool.vocabulary if by_table else pool.model,
        metric=metric,
        k=k,
    )
    return found, hierarchy(found)


@st.cache_data(
    show_spinner="Comparing every row with every token …", max_entries=256, hash_funcs=BY_KEY
)
@costly
def tokens_near(
    pool: Pool,
    prompt: int,
    *,
    metric: Metric,
    k: int,
) -> Decoding:
    """The decoding of one prompt of the pool, without controls: Decode shows those."""
    one = pool.prompts[prompt]
    return decode(one, pool.vocabulary, metric=metric, k=k, controls=False)


def shared_of(pool: Pool, pair: tuple[int, int], metric: Metric, k: int) -> SharedTokens:
    """What the decodings of two prompts of the pool have in common."""
    first, second = (tokens_near(pool, one, metric=metric, k=k) for one in pair)
    return shared_tokens(first, second)
