"""Tables fit their terminal: words stay whole, columns that can be spared go first."""

import io
import re

import pytest
from rich.console import Console
from rich.text import Text

from probe.cli.fitting import FittedTable


def _shown(width, *, spare=(), rows=(("mood-prompt@1", "prompt tuning", "0.517"),)):
    table = FittedTable(spare=spare)
    for header, side in (("prompt", "left"), ("method", "left"), ("accuracy", "right")):
        table.add_column(header, justify=side, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


@pytest.mark.parametrize("width", [38, 40, 60, 120])
def test_no_word_is_broken_and_no_line_is_too_long(width):
    shown = _shown(width)
    assert all(len(line) <= width for line in shown.splitlines())
    for word in ("mood-prompt@1", "prompt", "tuning", "0.517", "accuracy"):
        assert re.search(rf"(^|\s){re.escape(word)}(\s|$)", shown)


def test_columns_that_can_be_spared_go_in_their_order_and_are_named():
    assert "Left out" not in _shown(60, spare=("method", "accuracy"))
    assert "Left out for width: method." in " ".join(
        _shown(30, spare=("method", "accuracy")).split()
    )
    assert "mood-prompt@1" in _shown(16, spare=("method", "accuracy"))


def test_where_nothing_can_be_spared_nothing_is_lost():
    letters = sorted(re.sub(r"[\s─]", "", _shown(14)))
    assert letters == sorted("promptmethodaccuracymood-prompt@1prompttuning0.517")


def test_a_table_without_rows_is_its_header():
    assert "accuracy" in _shown(60, rows=())


def test_cells_that_stay_whole_go_with_their_column_before_they_are_wrapped():
    def shown(width):
        table = FittedTable(spare=("layer 1",))
        for header in ("position", "layer 0", "layer 1"):
            table.add_column(header, overflow="fold", no_wrap=header != "position")
        table.add_row(*map(Text, ("0", "␣Collective 0.22", "␣strugg 0.87")))
        out = io.StringIO()
        Console(file=out, width=width).print(table)
        return out.getvalue()

    assert "␣Collective 0.22" in shown(60) and "␣strugg 0.87" in shown(60)
    assert "␣Collective 0.22" in shown(36) and "strugg" not in shown(36)
    letters = re.sub(r"[\s─]", "", shown(18).partition("Left")[0])
    assert "Collective" in letters and "0.22" in letters
