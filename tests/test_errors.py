"""A message is one line, and never as long as whoever wrote a value could make it."""

import pytest

from probe.errors import ProbeError, PromptFormatError


@pytest.mark.parametrize("kind", [ProbeError, PromptFormatError])
def test_a_message_is_one_line(kind: type[ProbeError]) -> None:
    assert str(kind("a\n b\t c")) == "a b c"


def test_a_value_of_any_length_leaves_its_beginning_and_its_end() -> None:
    said = str(ProbeError(f"expected x, found {'y' * 100_000}: choose another"))
    assert len(said) < 2000
    assert said.startswith("expected x, found yyy") and said.endswith("yyy: choose another")
    assert "characters) …" in said


def test_a_password_in_an_address_is_not_told():
    error = ProbeError("m is no model at https://me:secret@hub.example/x: ask b@c.example")
    assert str(error) == "m is no model at https://hub.example/x: ask b@c.example"
