"""Which token strings do two prompts share?"""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np

from probe.arrays import Float64Array, IntArray
from probe.vocabulary import Vocabulary

_SPACE = "␣"


def token_strings(ids: IntArray, vocabulary: Vocabulary) -> frozenset[str]:
    """The strings of token ids, without the mark of a leading or trailing space.

    So words meet across tokenizers: some mark where words begin, others where they go on or end.

    Args:
        ids: any shape, such as the [P, k] nearest tokens of a prompt.
        vocabulary: V tokens.
    """
    return frozenset(plain_string(vocabulary.tokens[int(i)]) for i in np.unique(ids))


def plain_string(token: str) -> str:
    """A token as it is shown, without the marks of spaces around it unless it is nothing else."""
    return token.removeprefix(_SPACE).removesuffix(_SPACE) or token


def jaccard(decoded: Sequence[Set[str]]) -> Float64Array:
    """|A ∩ B| / |A ∪ B| of every two sets, [N, N]; two empty sets are alike.

    Source: Jaccard 1912, "The distribution of the flora in the alpine zone".
    """
    from scipy.sparse import csr_array

    column = {text: n for n, text in enumerate(sorted(set().union(*decoded)))}
    sizes = np.array([len(strings) for strings in decoded])
    columns = [column[text] for strings in decoded for text in strings]
    rows = np.repeat(np.arange(len(decoded)), sizes)
    shape = (len(decoded), max(1, len(column)))
    holds = csr_array((np.ones(len(columns)), (rows, columns)), shape=shape)
    shared = (holds @ holds.T).toarray()
    union = sizes[:, None] + sizes - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 1.0)
