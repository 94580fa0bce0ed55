import pytest

from probe.task import Example, Task

WORDS = ("bad", "good")


def test_the_template_is_filled():
    task = Task("sst2", "classification", "{text} It was", WORDS, train=[Example("Fine .", 1)])
    assert task.fill("Fine .") == "Fine . It was"


def test_braces_in_a_text_stay_as_they_are():
    task = Task("sst2", "classification", "{text} It was", WORDS)
    assert task.fill("{text} {0}") == "{text} {0} It was"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "ranking"}, "kind must be one of"),
        ({"template": "It was"}, r"needs \{text\} once"),
        ({"label_words": ("good",)}, "two or more different label words"),
        ({"label_words": ("good", "good")}, "two or more different label words"),
        ({"test": [Example("x", 2)]}, r"test\[0\] has label 2, expected 0 to 1"),
        ({"kind": "generation", "train": [Example("x", 1)]}, r"train\[0\] has no target text"),
    ],
)
def test_parts_that_do_not_fit_are_named(fields, message):
    task = {"kind": "classification", "label_words": WORDS} | fields
    with pytest.raises(ValueError, match=message):
        Task("sst2", **task)
