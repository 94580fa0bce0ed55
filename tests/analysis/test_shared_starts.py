"""A likeness that was there before training is named, and can be taken out."""

import dataclasses

import numpy as np
import pytest

from probe.analysis.compare import (
    changes_since_start,
    compare_rows,
    pair_words,
    position_view,
    positions_sentence,
    recorded_starts,
    separation_sentence,
    shared_starts,
)
from probe.analysis.starts import shared_starts_sentence
from probe.errors import NotComparableError
from probe.prompt import START_NEAREST, KVPrefix, SoftPrompt


@pytest.fixture
def vocabulary(rng, make_vocabulary):
    return make_vocabulary(rng.standard_normal((50, 8)).astype(np.float32))


def _prompt(name, starts, rng, model="m", **more):
    rows = rng.standard_normal((len(starts), 8))
    return SoftPrompt(name, rows, init_token_ids=tuple(starts), base_model=model, **more)


def test_shared_starts_are_counted_position_by_position(rng):
    prompts = [
        _prompt("a", (1, 2, 3), rng),
        _prompt("b", (1, 9, 3), rng),
        _prompt("shorter", (1, 2), rng),
        _prompt("moved", (3, 1, 2), rng),
        SoftPrompt("unknown", rng.standard_normal((3, 8)), base_model="m"),
    ]
    counts = shared_starts(recorded_starts(prompts))
    assert counts.tolist() == [
        [3, 2, 2, 0, -1],
        [2, 3, 1, 0, -1],
        [2, 1, 2, 0, -1],
        [0, 0, 0, 3, -1],
        [-1, -1, -1, -1, -1],
    ]


def test_a_map_says_in_one_sentence_which_rows_lay_together_before_training(rng):
    alike = [_prompt("a", (1, 2, 3), rng), _prompt("b", (1, 9, 3), rng), _prompt("c", (7,), rng)]
    assert shared_starts_sentence(alike) == (
        "1 of 3 pairs of prompts began from some of the same tokens (at up to 2 of 3 positions), "
        "so their rows lay together before training; displacement takes the start out."
    )
    assert shared_starts_sentence(alike[1:]) == ""


def test_ids_of_another_model_and_prefixes_share_nothing_that_is_known(rng):
    prefix = KVPrefix("kv", np.ones((1, 1, 3, 2)), np.ones((1, 1, 3, 2)), base_model="m")
    prompts = [_prompt("a", (1, 2, 3), rng), _prompt("b", (1, 2, 3), rng, model="n"), prefix]
    assert shared_starts(recorded_starts(prompts))[0].tolist() == [3, -1, -1]


def test_prompts_that_went_on_from_one_prompt_share_its_start(rng):
    config = {START_NEAREST: [4, 5]}
    both = [SoftPrompt(n, rng.standard_normal((2, 8)), config=config) for n in "ab"]
    assert shared_starts(recorded_starts(both))[0, 1] == 2


def _comparison(rng, prompts):
    found = compare_rows([p.embeddings for p in prompts], names=[p.name for p in prompts])
    starts = shared_starts(recorded_starts(prompts))
    return dataclasses.replace(found, tasks=tuple(p.task for p in prompts), starts=starts)


def test_every_pair_says_what_it_shared_before_training(rng):
    prompts = [_prompt("a", (1, 2, 3), rng), _prompt("b", (1, 2, 9), rng), _prompt("c", (7,), rng)]
    found = _comparison(rng, [*prompts, SoftPrompt("d", rng.standard_normal((3, 8)))])
    assert pair_words(found, 0, 1) == "2 of 3 positions began from the same token"
    assert pair_words(found, 0, 2) == "none of 1 position began from the same token"
    assert pair_words(found, 0, 3) == "whether they share a start is not recorded"
    assert found.to_json()["shared_starts"][0] == [3, 2, 0, None]


def test_likeness_by_start_alone_is_told_from_likeness_by_task(rng):
    """Pairs of one task share their start here, and nothing else: without them nothing is left."""
    starts = {"t": (1, 2, 3), "u": (4, 5, 6)}
    table = rng.standard_normal((50, 8))
    prompts = []
    for task, ids in starts.items():
        for n in range(2):  # from the task's own start, then from a start of its own
            own = ids if n < 2 else (10 + n,) * 3
            rows = table[list(own)] + 0.01 * rng.standard_normal((3, 8))
            prompts.append(
                SoftPrompt(f"{task}{n}", rows, task=task, init_token_ids=own, base_model="m")
            )
    found = _comparison(rng, prompts)
    assert found.separation().area == 1.0
    assert found.separation(without_shared_start=True) is None
    assert "nobody can say how much of this is the start" in separation_sentence(found)


def test_the_separation_is_given_also_without_shared_starts(rng):
    ids = {"t0": (1,), "t1": (1,), "t2": (2,), "u0": (3,), "u1": (4,)}
    prompts = [_prompt(name, start, rng, task=name[0]) for name, start in ids.items()]
    found = _comparison(rng, prompts)
    every, apart = found.separation(), found.separation(without_shared_start=True)
    assert (every.same, every.other) == (4, 6) and (apart.same, apart.other) == (3, 6)
    closer = [found.matrix[i, j] for i, j in ((0, 2), (1, 2), (3, 4))]
    other = [found.matrix[i, j] for i in range(3) for j in (3, 4)]
    assert apart.area == pytest.approx(np.mean([a > b for a in closer for b in other]))
    told = separation_sentence(found)
    assert f"in {100 * every.area:.0f} % of cases (4 pairs against 6; 50 % is guessing)" in told
    assert f"without a shared start in {100 * apart.area:.0f} % (3 pairs against 6)" in told


def test_without_tasks_there_is_no_separation_and_no_sentence(rng):
    found = _comparison(rng, [_prompt(n, (1,), rng) for n in "abc"])
    assert found.separation() is None and separation_sentence(found) == ""


def test_changes_since_the_start_are_rows_minus_their_initial_tokens(vocabulary, rng):
    prompt = _prompt("a", (1, 2, 1), rng)
    np.testing.assert_array_equal(
        changes_since_start(prompt, vocabulary),
        prompt.embeddings - vocabulary.rows([1, 2, 1]),
    )


def test_a_common_start_makes_no_two_changes_alike(vocabulary, rng):
    """Two prompts hardly moved from one start: as positions they are one, as changes strangers."""
    ids = tuple(range(20))
    rows = [vocabulary.rows(list(ids)) + 0.01 * rng.standard_normal((20, 8)) for _ in range(2)]
    both = [SoftPrompt(n, r, init_token_ids=ids) for n, r in zip("ab", rows, strict=True)]
    positions = compare_rows([p.embeddings for p in both], "position_cosine", names="ab")
    changes = compare_rows(
        [changes_since_start(p, vocabulary) for p in both], "position_cosine", names="ab",
        change=True,
    )  # fmt: skip
    assert positions.matrix[0, 1] > 0.99 and abs(changes.matrix[0, 1]) < 0.4
    assert changes.to_json()["change"] is True


@pytest.mark.parametrize("starts", [None, (1, 60, 2)])
def test_changes_from_a_start_that_is_not_known_are_refused_in_one_line(vocabulary, rng, starts):
    prompt = SoftPrompt("a", rng.standard_normal((3, 8)), init_token_ids=starts)
    with pytest.raises(NotComparableError, match="^a") as refused:
        changes_since_start(prompt, vocabulary)
    assert "\n" not in str(refused.value)


def _view(first, second, rng, change=False):
    rows = [rng.standard_normal((len(one), 8)) for one in (first, second)]
    starts = tuple(None if one[0] is None else np.array(one) for one in (first, second))
    return position_view(*rows, names=("a", "b"), starts=starts, change=change)


def test_a_diagonal_is_not_called_a_role_where_positions_began_alike(rng):
    view = _view((1, 2, 3), (1, 2, 9), rng)
    assert view.shared.tolist() == [[True, False, False], [False, True, False], [False] * 3]
    told = positions_sentence(view)
    same, rest = view.matched[:2].mean(), view.matched[2:].mean()
    for words in (
        "2 of 3 began from the same token",
        f"(mean cosine {same:.3f}, the others {rest:.3f})".replace("-", "−"),
        "a diagonal there may come from the start",
    ):
        assert words in told
    assert "role" not in told


def test_a_diagonal_is_judged_by_what_is_known_of_the_starts(rng):
    assert "a diagonal would come from training" in positions_sentence(_view((1, 2), (3, 4), rng))
    assert "not recorded" in positions_sentence(_view((1, 2), (None, None), rng))
    moved = positions_sentence(_view((1, 2), (1, 2), rng, change=True))
    assert "2 of 2 began from the same token" in moved and "may be moved alike" in moved


def test_rows_of_the_table_are_multiplied_as_the_model_multiplies_them(vocabulary, rng):
    scaled = dataclasses.replace(vocabulary, factor=3.0)
    prompt = dataclasses.replace(_prompt("a", (1, 2), rng), method="trainable_tokens")
    np.testing.assert_array_equal(
        changes_since_start(prompt, scaled), 3 * prompt.embeddings - scaled.rows([1, 2])
    )
