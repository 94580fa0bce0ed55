"""The workspace keeps what prompts once scored, through edits, kills, rebuilds and old indexes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from probe.errors import WorkspaceError
from probe.prompt import SoftPrompt
from probe.store import EvaluationRecord, Workspace, last_like
from probe.store.history import HISTORY_FILE
from probe.store.index import MIGRATIONS, Index

RECORD = EvaluationRecord(
    recorded="2026-01-01T00:00:00+00:00",
    task="sst2",
    split="test",
    n=10,
    examples="ab",
    model="builtin",
    template="{text} It was",
    label_words=("terrible", "great"),
    metric="accuracy",
    value=0.8,
    interval=(0.5, 1.0),
    measures={"accuracy": 0.8, "loss_nats": 1.5},
)


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path / "home")
    workspace.save(SoftPrompt("mood", np.ones((2, 4))))
    return workspace


def at(day, value, **fields):
    return replace(RECORD, recorded=f"2026-01-0{day}T00:00:00+00:00", value=value, **fields)


def test_records_come_back_oldest_first_with_their_prompt(workspace):
    workspace.save(SoftPrompt("other", np.ones((2, 4))))
    history = [at(1, 0.8), at(3, 0.7)]
    assert workspace.record("mood", history[0]) == history[:1]
    workspace.record("other", at(2, 0.5))
    assert workspace.record("mood@1", history[1]) == history
    assert workspace.prompts.history("mood@1") == history
    assert workspace.evaluations() == [
        ("mood@1", history[0]),
        ("other@1", at(2, 0.5)),
        ("mood@1", history[1]),
    ]


def test_editing_a_card_and_saving_again_keep_the_history(workspace):
    workspace.record("mood", RECORD)
    workspace.tag("mood", "film")
    workspace.annotate("mood", "a note")
    workspace.save(SoftPrompt("mood", np.zeros((2, 4))))
    assert workspace.evaluations() == [("mood@1", RECORD)]
    assert workspace.list("film")[0].id == "mood@1"


def test_the_folder_is_the_truth_and_the_index_is_made_from_it(workspace):
    workspace.record("mood", RECORD)
    workspace.rebuild()
    assert workspace.evaluations() == [("mood@1", RECORD)]
    workspace.remove("mood")
    assert workspace.evaluations() == []


def test_a_process_that_died_before_indexing_loses_no_record(workspace):
    workspace.prompts.append("mood@1", at(1, 0.8))
    workspace.record("mood", at(2, 0.7))
    assert [record.value for _, record in workspace.evaluations()] == [0.8, 0.7]


def test_the_prompt_still_loads_beside_its_history(workspace):
    workspace.save(SoftPrompt("half", np.ones((2, 4)), submodule="decoder"))
    for name in ("mood", "half"):
        before = workspace.get(name).embeddings
        workspace.record(name, RECORD)
        np.testing.assert_array_equal(workspace.get(name).embeddings, before)
    assert workspace.problems() == []


def test_looking_for_records_does_not_create_a_workspace(tmp_path):
    assert Workspace(tmp_path / "none").evaluations() == []
    assert not (tmp_path / "none").exists()


def test_an_index_of_the_oldest_schema_learns_to_keep_records(workspace):
    card = workspace.card("mood")
    workspace.index.delete()
    with Index(workspace.index.path, MIGRATIONS[:1]).writing() as db:
        row = (card.id, card.name, card.version, card.created, json.dumps(card.to_json()))
        db.execute("INSERT INTO prompts VALUES (?, ?, ?, ?, ?)", row)
    workspace.record("mood", RECORD)
    assert workspace.evaluations() == [("mood@1", RECORD)]


def test_a_damaged_history_is_named_by_its_line_and_hides_no_prompt(workspace):
    workspace.record("mood", RECORD)
    path = workspace.prompts.root / "mood@1" / HISTORY_FILE
    path.write_text(path.read_text() + '{"task": 1}\n')
    with pytest.raises(WorkspaceError, match=r"evaluations.jsonl, line 2 is no evaluation"):
        workspace.record("mood", RECORD)
    assert "line 2" in workspace.problems()[0]
    assert workspace.rebuild() == 1
    assert workspace.get("mood").embeddings.shape == (2, 4)


def test_a_template_with_any_line_separator_keeps_the_history_readable(workspace):
    odd = at(1, 0.8, template="a\u2028b\u2029c\x85d\x0be {text}\r\nf")
    workspace.record("mood", odd)
    assert workspace.record("mood", at(2, 0.7)) == [odd, at(2, 0.7)]
    assert workspace.problems() == []


def test_a_history_that_was_edited_on_windows_is_read(workspace):
    workspace.record("mood", RECORD)
    path = workspace.prompts.root / "mood@1" / HISTORY_FILE
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert workspace.prompts.history("mood@1") == [RECORD]


def test_only_the_same_question_is_compared_and_the_newest_answer_wins():
    history = [at(1, 0.9), at(2, 0.8), at(3, 0.1, examples="cd"), at(4, 0.2, template="{text}")]
    assert last_like(history, RECORD) == history[1]
    assert last_like(history, replace(RECORD, split="validation")) is None
    assert last_like(history, replace(RECORD, model="elsewhere")) is None


def test_a_drop_without_known_examples_is_a_value_below_the_last_interval():
    assert at(2, 0.4).dropped_from(RECORD) and not at(2, 0.6).dropped_from(RECORD)
    assert not at(2, 0.8 - 1e-12).dropped_from(RECORD)
    assert not at(2, 0.9).dropped_from(RECORD)


def test_noise_is_no_drop_and_a_drop_is_told_by_the_same_examples():
    before = at(1, 0.8, scores=(1.0,) * 16 + (0.0,) * 4)
    five_lost = at(2, 0.55, scores=(0.0,) * 5 + (1.0,) * 11 + (0.0,) * 4)
    six_lost = at(2, 0.5, scores=(0.0,) * 6 + (1.0,) * 10 + (0.0,) * 4)
    two_up_four_down = at(2, 0.7, scores=(0.0,) * 4 + (1.0,) * 14 + (0.0,) * 2)
    assert five_lost.p_value(before) == 2 / 2**5  # 0.0625, by hand
    assert six_lost.p_value(before) == 2 / 2**6  # 0.03125
    assert not five_lost.dropped_from(before) and six_lost.dropped_from(before)
    assert not two_up_four_down.dropped_from(before)
    assert not before.dropped_from(six_lost)  # a rise
