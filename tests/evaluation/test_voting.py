"""An ensemble votes by majority, settles ties by probability and mixes likelihoods."""

from dataclasses import replace

import numpy as np
import pytest

from probe.errors import ProbeError
from probe.evaluation import Answers, Condition, ensemble, zero_shot
from probe.task import Task

TASK = Task("t", "classification", label_words=("a", "b", "c"))


def member(*rows, losses=None):
    scores = np.log(np.array(rows, dtype=float))
    losses = np.zeros(len(rows)) if losses is None else np.array(losses)
    return Answers(Condition("m", TASK), losses, scores, scores.argmax(1))


def test_two_weak_votes_beat_a_strong_one():
    """Lester et al. 2021, §6: majority voting, not the mean."""
    members = [member([0.98, 0.01, 0.01]), member([0.3, 0.4, 0.3]), member([0.3, 0.4, 0.3])]
    assert ensemble(members).predicted.tolist() == [1]


def test_a_tie_goes_to_the_label_that_is_likelier_on_average():
    assert ensemble([member([0.6, 0.39, 0.01]), member([0.1, 0.89, 0.01])]).predicted.tolist() == [
        1
    ]
    assert ensemble([member([0.9, 0.09, 0.01]), member([0.4, 0.59, 0.01])]).predicted.tolist() == [
        0
    ]


def test_a_label_nobody_chose_cannot_win_a_tie():
    members = [member([0.5, 0.01, 0.49]), member([0.01, 0.5, 0.49])]
    assert ensemble(members).predicted.tolist()[0] in (0, 1)


def test_scores_and_loss_are_those_of_the_mixture():
    members = [
        member([0.8, 0.1, 0.1], losses=[-np.log(0.8)]),
        member([0.2, 0.4, 0.4], losses=[-np.log(0.2)]),
    ]
    mixed = ensemble(members)
    assert np.exp(mixed.scores) == pytest.approx(np.array([[0.5, 0.25, 0.25]]))
    assert mixed.losses_nats == pytest.approx([-np.log(0.5)])
    assert mixed.condition.kind == "ensemble" and mixed.condition.name == "ensemble of m, m"


def test_equal_members_change_nothing():
    one = member([0.2, 0.3, 0.5], [0.6, 0.2, 0.2], losses=[1.0, 2.0])
    both = ensemble([one, one])
    np.testing.assert_array_equal(both.predicted, one.predicted)
    np.testing.assert_allclose(both.scores, one.scores)
    np.testing.assert_allclose(both.losses_nats, one.losses_nats)


def test_an_ensemble_stands_beside_the_model_alone_only_where_all_read_one_wording():
    paper = Condition("m", TASK, objective="paper")
    members = [replace(member([0.2, 0.3, 0.5]), condition=paper) for _ in range(2)]
    assert ensemble(members).condition.wording == zero_shot(paper).wording
    mixed = ensemble([*members, member([0.2, 0.3, 0.5])]).condition.wording
    assert mixed not in {zero_shot(one).wording for one in (paper, Condition("m", TASK))}


def test_there_must_be_two_or_more_with_labels():
    with pytest.raises(ProbeError, match="found 1 prompt and 1 with labels"):
        ensemble([member([1, 0.1, 0.1])])
    texts = Answers(Condition("g", Task("g", "generation")), np.zeros(1), texts=("x",))
    with pytest.raises(ProbeError, match="found 2 prompts and 0 with labels"):
        ensemble([texts, texts])
