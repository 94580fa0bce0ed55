"""How right predictions are: accuracy, macro F1, exact match, ROUGE-L, Prompt F1; from 0 to 1."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from probe.arrays import BoolArray, Float64Array, FloatArray

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def accuracy(predicted: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """Share of the n predicted labels that are right.

    Raises:
        ValueError: there are none, or not as many labels.
    """
    return float(np.mean(_pair(predicted, labels)))


def macro_f1(predicted: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """Mean F1 over the labels that occur, each weighing the same however rare it is.

    A label counts if it was predicted or was right at least once; its F1 is
    2·both / (predicted + right), as in scikit-learn's `f1_score(average="macro")`.

    Raises:
        ValueError: there are no predictions, or not as many labels.
    """
    hits = _pair(predicted, labels)
    scores = []
    for label in np.union1d(predicted, labels):
        right = np.sum(hits & (labels == label))
        scores.append(2 * right / (np.sum(predicted == label) + np.sum(labels == label)))
    return float(np.mean(scores))


def exact_matches(predictions: Sequence[str], targets: Sequence[str]) -> Float64Array:
    """1 where a text equals its target, white space aside, [n].

    Raises:
        ValueError: there are no predictions, or not as many targets.
    """
    return np.array(
        [
            float(prediction.split() == target.split())
            for prediction, target in _texts(predictions, targets)
        ]
    )


def rouge_l_scores(predictions: Sequence[str], targets: Sequence[str]) -> Float64Array:
    """ROUGE-L F1 of each text against its target, [n] (Lin 2004, section 3.1).

    The longest common subsequence of words, against both lengths. Words are runs of a-z and 0-9
    after lower-casing, not stemmed, as in the `rouge-score` library; no words, no score.

    Raises:
        ValueError: there are no predictions, or not as many targets.
    """
    return np.array(
        [_rouge_l(prediction, target) for prediction, target in _texts(predictions, targets)]
    )


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


def sign_test(differences: FloatArray) -> float:
    """Probability of so uneven a split of ups and downs if both were as likely, two-sided, exact.

    Of differences of right (1) and wrong (0) this is McNemar's exact test; ties tell nothing.

    Args:
        differences: [n], of the same examples before and after.
    """
    ups, downs = int((differences > 0).sum()), int((differences < 0).sum())
    fewer, all_of = min(ups, downs), ups + downs
    ways = sum(math.comb(all_of, count) for count in range(fewer + 1))
    return min(1.0, float(2 * ways / 2**all_of))


def _rouge_l(prediction: str, target: str) -> float:
    found, wanted = (re.findall("[a-z0-9]+", text.lower()) for text in (prediction, target))
    if not found or not wanted:
        return 0.0
    return 2 * _common(found, wanted) / (len(found) + len(wanted))


def _common(first: list[str], second: list[str]) -> int:
    """Length of the longest common subsequence, by rows of the usual table."""
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for column, other in enumerate(second, start=1):
            above = row[column]
            row[column] = diagonal + 1 if word == other else max(above, row[column - 1])
            diagonal = above
    return row[-1]


def _pair(predicted: NDArray[np.integer], labels: NDArray[np.integer]) -> BoolArray:
    if predicted.shape != labels.shape or predicted.ndim != 1 or not predicted.size:
        raise ValueError(
            f"expected as many predicted labels as labels, one or more, found shapes "
            f"{predicted.shape} and {labels.shape}"
        )
    hits: BoolArray = predicted == labels
    return hits


def _texts(predictions: Sequence[str], targets: Sequence[str]) -> list[tuple[str, str]]:
    if not predictions or len(predictions) != len(targets):
        raise ValueError(
            f"expected as many predictions as targets, one or more, found {len(predictions)} and "
            f"{len(targets)}"
        )
    return list(zip(predictions, targets, strict=True))
