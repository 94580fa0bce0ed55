"""`docs/readings.md` tells the rates that travel with `probe`."""

import re
from pathlib import Path

import numpy as np

from probe.readings.controls import measured as controls
from probe.readings.hit_rates import measured as rates
from probe.reports.reading_rates import kinds_table, rates_table, shares_table

PAGE = (Path(__file__).parents[2] / "docs" / "readings.md").read_text(encoding="utf-8")


def test_every_line_of_the_tables_stands_on_the_page_and_no_other():
    own = rates_table(rates()), shares_table(rates()), kinds_table(rates())
    for table in (*own, rates_table(rates("builtin"))):
        assert "\n\n" + "\n".join(table) + "\n\n" in PAGE


def test_the_controls_of_the_page_are_those_that_are_used():
    values = np.array(controls()["statistics"]["displacement"])
    flips = np.array(controls()["sign_flip_p"])
    words = re.sub(r"\s+", " ", PAGE)
    low, high = np.quantile(values, [0.5, 0.95])
    assert f"median {low:.3f}, 95th percentile {high:.3f}" in words
    assert f"p ≤ 0.05 for {100 * (flips <= 0.05).mean():.1f} %" in words
