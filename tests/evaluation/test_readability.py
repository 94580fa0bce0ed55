"""What readability costs, by its definition."""

import numpy as np
import pytest

from probe.evaluation import Answers, Condition, readability, zero_shot
from probe.prompt import SoftPrompt
from probe.task import Example, Task

TASK = Task("t", "classification", "{text} is", ("good", "bad"))
EXAMPLES = [Example(str(n), label=n % 2) for n in range(8)]
LABELS = np.array([one.label for one in EXAMPLES])


def answers(condition, right):
    """The first `right` of eight examples are answered rightly."""
    predicted = np.where(np.arange(8) < right, LABELS, 1 - LABELS)
    return Answers(condition, np.ones(8), np.zeros((8, 2)), predicted)


def condition(name, kind="prompt", **config):
    return Condition(name, TASK, SoftPrompt(name, np.ones((2, 3)), config=config), kind)


SOFT = condition("soft", training={"method": "prompt_tuning"})
PEZ = condition("pez", token_ids=[4, 5], training={"method": "pez"})
NEAREST = condition("soft", "discretised", token_ids=[1, 2])
ALONE = zero_shot(SOFT)


def test_cost_is_the_paired_difference_and_kept_the_share_of_the_gain():
    given = [answers(SOFT, 8), answers(PEZ, 6), answers(ALONE, 4), answers(NEAREST, 5)]
    nearest, pez = readability(given, EXAMPLES, metric="accuracy")
    assert (nearest.prompt, nearest.readable, nearest.how) == ("soft", "soft", "discretised")
    assert (pez.prompt, pez.readable, pez.how) == ("soft", "pez", "tokens")
    assert (pez.soft, pez.score) == (1, 0.75)
    assert pez.cost.value == pytest.approx(0.25)
    assert pez.cost.interval[0] >= 0  # wherever PEZ is right, the soft prompt is too
    assert pez.kept.value == pytest.approx(0.5)
    assert nearest.kept.value == pytest.approx(0.25)


def test_without_zero_shot_there_is_a_cost_but_no_share():
    (pez,) = readability([answers(SOFT, 8), answers(PEZ, 6)], EXAMPLES, metric="accuracy")
    assert pez.kept is None and pez.cost.value == pytest.approx(0.25)


def test_a_soft_prompt_no_better_than_nothing_has_nothing_to_keep():
    given = [answers(SOFT, 3), answers(PEZ, 6), answers(ALONE, 4)]
    (pez,) = readability(given, EXAMPLES, metric="accuracy")
    assert pez.kept.value is None and pez.cost.value == pytest.approx(-0.375)


def test_readable_prompts_are_not_compared_with_each_other():
    assert readability([answers(PEZ, 6), answers(ALONE, 4)], EXAMPLES, metric="accuracy") == ()
    assert readability([answers(SOFT, 6), answers(ALONE, 4)], EXAMPLES, metric="accuracy") == ()


def test_a_condition_knows_how_its_prompt_was_trained():
    assert (SOFT.method, PEZ.method) == ("prompt_tuning", "pez")
    assert condition("bare").method == "unknown"
    assert (ALONE.method, NEAREST.method) == (None, None)
