"""Prompts distilled from texts that are kept back: no file tells their text or where they began."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.distillation.known_texts import KnownText, read_known_texts
from probe.readings.scorers import overlaps
from probe.tables.named import smollm2_file
from probe.verbs.reading import read

DATA = Path(__file__).parents[1] / "data"
CONTENT = {
    "volcanoes": ("volcano", "lava"),
    "fisherman": ("fisherman", "boat", "net", "fish"),
    "bees": ("bee", "honey"),
}


@pytest.mark.slow
@pytest.mark.skipif(smollm2_file() is None, reason="smollm2 is not installed")
def test_a_content_word_of_a_text_is_read_off_rows_whose_start_is_inferred():
    for name, words in CONTENT.items():
        found = read(DATA / f"distilled-{name}.safetensors", "smollm2")
        nearest, displacement = found.readings
        assert displacement.start == "inferred" and nearest.start is None
        wanted = [KnownText(name, words)]
        near, moved = overlaps([nearest.words, displacement.words], wanted)[:, 0]
        assert moved > max(near, 0), displacement.words
        assert displacement.hit_rate.tried == 64


def test_the_texts_are_none_of_those_that_come_with_probe():
    shipped = [word for one in read_known_texts() for word in one.words]
    assert not overlaps([shipped], [KnownText(n, words) for n, words in CONTENT.items()]).any()
