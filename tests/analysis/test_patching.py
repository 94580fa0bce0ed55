"""Descriptions and their class rate, with a patch that says what it was given."""

import numpy as np
import pytest

from probe.analysis.patching import DEFAULT_TARGET, class_rate, describe, named_terms
from probe.prompt import SoftPrompt
from probe.protocols import TraceResult

PROMPT = SoftPrompt("p", np.array([[3.0, 0.0], [4.0, 0.0]]))


def trace(prompt, examples):
    """Three states per row: the rows, then twice as long each."""
    rows = np.concatenate([prompt.embeddings, np.zeros((1, prompt.width), np.float32)])[None]
    nothing = np.zeros((0, 0, 0), np.float32)
    return TraceResult(np.stack([rows, 2 * rows, 4 * rows]), nothing, nothing, nothing)


def knows_at_layer_1(states, layer, before, after):
    """Names both classes where the rows are the prompt's own and doubled, else one or none."""
    own = [bool(np.allclose(one[:, 1], 0)) for one in states]
    if layer == 1:
        return ["Good or BAD." if mine else "a good thing" for mine in own]
    return ["nothing at all" for _ in own]


def test_rates_are_counted_per_layer_beside_random_rows_and_the_best_is_tested():
    found = describe(PROMPT, trace, knows_at_layer_1, ["good", "bad"], draws=9)
    first, second = found.layers
    assert (first.class_rate, first.random_class_rate, first.named) == (0, 0, ())
    assert (second.text, second.named) == ("Good or BAD.", ("good", "bad"))
    assert (second.class_rate, second.random_class_rate) == (1, 0.5)
    assert second.random_text == "a good thing"
    assert (found.best_class_rate, found.random_best_class_rate) == (1, 0.5)
    assert found.p_value == pytest.approx(0.1)
    assert len(found.to_frame()) == 2


def test_a_description_no_better_than_chance_says_so():
    found = describe(PROMPT, trace, lambda states, *_: ["good"] * len(states), ["good"], draws=3)
    assert (found.best_class_rate, found.random_best_class_rate, found.p_value) == (1, 1, 1)


def test_states_enter_the_layer_they_come_from_with_the_text_around_them():
    seen = []

    def keep(states, layer, before, after):
        seen.append((layer, states.shape, before, after))
        np.testing.assert_array_equal(states[0], PROMPT.embeddings * 2**layer)
        norms = np.linalg.norm(states, axis=2)
        np.testing.assert_allclose(norms, np.tile(PROMPT.norms * 2**layer, (3, 1)), rtol=1e-5)
        return [""] * len(states)

    describe(PROMPT, trace, keep, ["x"], target="say {prompt} now", draws=2)
    assert seen == [(layer, (3, 2, 2), "say ", " now") for layer in (0, 1)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Positive, negative", ["positive", "negative"]),
        ("positively", []),
        ("non-positive!", ["positive"]),
        ("", []),
    ],
)
def test_terms_count_as_whole_words_in_any_case(text, named):
    assert named_terms(text, ["positive", "negative"]) == named
    assert class_rate(text, ["positive", "negative"]) == len(named) / 2


def test_terms_of_several_words_and_with_signs_are_found():
    assert named_terms("World and Sci/Tech news", [" Sci/Tech", "World and", "c++"]) == [
        " Sci/Tech",
        "World and",
    ]


def test_nonsense_is_refused():
    for arguments in (
        {"terms": []},
        {"terms": ["a"], "draws": 0},
        {"terms": ["a"], "target": "no slot"},
    ):
        with pytest.raises(ValueError, match="a description needs"):
            describe(PROMPT, trace, knows_at_layer_1, **arguments)


def test_the_usual_target_names_no_label_of_the_usual_tasks():
    from probe.datasets import load_wording, task_names

    labels = {word for name in task_names() for word in load_wording(name).label_words}
    assert named_terms(DEFAULT_TARGET, sorted(labels)) == []
