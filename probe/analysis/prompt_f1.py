"""How much of a target text does a decoded prompt say? Prompt F1 and token match."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised_words(text: str) -> list[str]:
    """Words in lower case without punctuation and articles.

    The normalisation of SQuAD's evaluation script (Rajpurkar et al. 2016, §6.1): lower case, ASCII
    punctuation removed, then articles, then split at white space.
    """
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def prompt_f1(decoded: str, target: str) -> float:
    """Word F1 of decoded against target text (Khashabi et al. 2021, §3), from 0 to 1.

    The harmonic mean of the shares of words in common, each counted as often as it occurs on both
    sides. Where both texts normalise to nothing, such as two rows of dots, 1 if they are equal up
    to white space, else 0; where one does, 0.
    """
    found, wanted = normalised_words(decoded), normalised_words(target)
    if not found and not wanted:
        return float(decoded.split() == target.split())
    both = (Counter(found) & Counter(wanted)).total()
    return 2 * both / (len(found) + len(wanted))


def token_match(decoded: Sequence[int], target: Sequence[int]) -> float:
    """Share of the P positions whose nearest token is the target's.

    Raises:
        ValueError: the two have different lengths, or none.
    """
    if not decoded or len(decoded) != len(target):
        raise ValueError(
            f"expected as many decoded ids as target ids, one or more, found {len(decoded)} and "
            f"{len(target)}"
        )
    same = sum(int(a) == int(b) for a, b in zip(decoded, target, strict=True))
    return same / len(target)
