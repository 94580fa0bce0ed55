"""The validation split depends on the texts alone, and never shares one with training."""

import random

from hypothesis import given
from hypothesis import strategies as st

from probe.datasets import sample, split_validation
from probe.task import Example

EXAMPLES = [Example(f"text {number}", number % 4 // 3) for number in range(400)]


def test_a_tenth_of_each_label_becomes_validation():
    train, validation = split_validation(EXAMPLES)
    assert [example.label for example in validation].count(1) == 10
    assert [example.label for example in validation].count(0) == 30
    assert sorted(train + validation, key=EXAMPLES.index) == EXAMPLES


def test_the_split_is_always_the_same_whatever_the_order():
    shuffled = random.Random(0).sample(EXAMPLES, len(EXAMPLES))
    assert set(split_validation(shuffled)[1]) == set(split_validation(EXAMPLES)[1])
    assert split_validation(EXAMPLES)[1][:3] == [EXAMPLES[n] for n in KNOWN]


def test_another_seed_takes_others_and_another_share_nests():
    default = set(split_validation(EXAMPLES)[1])
    assert set(split_validation(EXAMPLES, seed=1)[1]) != default
    assert default < set(split_validation(EXAMPLES, share=0.2)[1])


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 2)), max_size=30))
def test_no_text_is_on_both_sides_and_none_is_lost(rows):
    examples = [Example(text, label) for text, label in rows]
    train, validation = split_validation(examples, share=0.5)
    assert not {e.text for e in train} & {e.text for e in validation}
    assert len(train) + len(validation) == len(examples)
    assert {e.label for e in examples} == {e.label for e in train} or validation


def test_a_label_with_one_text_stays_in_training():
    train, validation = split_validation([Example("a", 0), Example("b", 1), Example("b", 1)])
    assert (len(train), validation) == (3, [])


def test_a_share_of_nothing_takes_nothing_and_a_small_one_a_text_of_each_label():
    assert split_validation(EXAMPLES, share=0) == (EXAMPLES, [])
    assert {example.label for example in split_validation(EXAMPLES, share=0.001)[1]} == {0, 1}


def test_a_sample_draws_from_all_over_a_file_that_is_sorted_by_label():
    examples = [Example(f"text {n}", label=n // 50) for n in range(100)]
    drawn = sample(examples, 20)
    assert len(drawn) == 20 and 5 < sum(example.label for example in drawn) < 15
    assert drawn == sorted(drawn, key=examples.index) == sample(examples, 20)
    assert set(sample(examples, 10)) < set(drawn)
    assert sample(examples, None) == sample(examples, 100) == examples
    assert sample(examples, 0) == []


KNOWN = (9, 14, 36)
