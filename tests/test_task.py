import pytest

from probe.task import Example, Task, joined_words, split_words

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


def test_a_template_names_any_columns_and_braces_in_their_values_stay():
    pair = Example("", 1, columns={"premise": "{hypothesis}", "hypothesis": "It rains ."})
    task = Task("rte", "classification", "{premise} So {hypothesis} {label}?", WORDS, train=[pair])
    assert task.columns == ("premise", "hypothesis")
    assert task.fill(pair) == "{hypothesis} So It rains . {label}?"
    assert task.shown(pair) == "{hypothesis} | It rains ."
    for template in ("{premise} {premise}", "{1} {} {prompt:3} {label}"):
        with pytest.raises(ValueError, match="other columns of the data once each"):
            Task("rte", "classification", template, WORDS)


def test_a_label_has_as_many_words_as_it_is_given():
    words, synonyms = split_words([["great", "good"], "bad"])
    task = Task("sst2", "classification", label_words=words, synonyms=synonyms)
    assert task.label_words == ("great", "bad")
    assert task.verbalizer == (("great", "good"), ("bad",))
    assert joined_words(words, synonyms) == [["great", "good"], "bad"]
    assert split_words(["great", ["bad"]]) == (("great", "bad"), ())
    with pytest.raises(ValueError, match="two or more different label words, found great, bad, ba"):
        Task("sst2", "classification", label_words=words, synonyms=(("bad",), ()))
    with pytest.raises(ValueError, match="synonyms for 2 labels, found them for 1"):
        Task("sst2", "classification", label_words=words, synonyms=(("good",),))
