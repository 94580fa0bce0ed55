"""Curves of runs and bars of answers: what is drawn is what was noted."""

from __future__ import annotations

import numpy as np
import pytest

from probe.charts import (
    curves,
    loss_curves,
    moved_curves,
    norm_curves,
    probability_bars,
    run_coordinates,
    score_curves,
)
from probe.charts.curves import Series


def _record(step: int, loss: float | None, **more: object) -> dict[str, object]:
    return {"step": step, "loss_nats": loss, "validation": None} | more


def _validated(step: int, loss: float, value: float) -> dict[str, object]:
    found = {"metric": "accuracy", "value": value, "loss_nats": loss, "examples": 8}
    return _record(step, loss, validation=found, norm=2.0, moved=0.25)


RECORDS = [_record(1, 3.0, norm=1.0), _record(2, 2.0, norm=1.5), _validated(3, 1.0, 0.75)]


def test_a_curve_holds_the_steps_at_which_something_was_noted() -> None:
    found = curves("mine", RECORDS)
    assert found.loss_nats.values.tolist() == [3, 2, 1]
    assert (found.score.steps.tolist(), found.score.values.tolist()) == ([3], [0.75])
    assert found.metric == "accuracy"
    assert found.norm.values.tolist() == [1, 1.5, 2]
    assert found.moved.steps.tolist() == [3]


def test_prompts_trained_at_once_are_averaged_and_lost_numbers_left_out() -> None:
    found = curves("folds", [_record(1, 1.0), _record(1, 2.0), _record(2, None), _record(2, 5.0)])
    assert found.loss_nats.steps.tolist() == [1, 2]
    assert found.loss_nats.values.tolist() == [1.5, 5.0]


def test_runs_of_before_norms_were_noted_have_curves_too() -> None:
    assert len(curves("old", [_record(1, 1.0)]).norm.steps) == 0
    assert curves("empty", []).metric is None


def test_thinning_keeps_the_mean_and_smoothing_a_constant() -> None:
    rng = np.random.default_rng(0)
    long = Series(np.arange(1, 1001.0), rng.standard_normal(1000))
    thin = long.thinned(100)
    assert len(thin.steps) == 100
    assert thin.values.mean() == pytest.approx(long.values.mean())
    assert thin.values[0] == pytest.approx(long.values[:10].mean())
    flat = Series(np.arange(5.0), np.full(5, 2.0))
    assert flat.smoothed(3).values.tolist() == [2] * 5
    ramp = Series(np.arange(5.0), np.arange(5.0))
    assert ramp.smoothed(3).values.tolist() == [0, 1, 2, 3, 3.5]  # it does not lag


def test_a_short_odd_end_is_no_longer_than_it_is() -> None:
    thin = Series(np.arange(7.0), np.arange(7.0)).thinned(3)
    assert thin.values.tolist() == [1, 4, 6]


def test_one_run_is_drawn_by_kind_of_loss_and_several_by_run() -> None:
    one, two = curves("one", RECORDS), curves("two", RECORDS)
    alone = loss_curves([one], steps=10)
    assert [trace.name for trace in alone.data] == [
        "batches", "training, running mean", "validation",
    ]  # fmt: skip
    assert alone.layout.xaxis.range == (0, 10)
    both = loss_curves([one, two])
    assert [trace.name for trace in both.data if trace.showlegend] == ["one", "two"]
    assert both.data[0].line.color == both.data[1].line.color != both.data[2].line.color


def test_the_score_is_shown_beside_the_model_alone() -> None:
    figure = score_curves([curves("one", RECORDS)], alone=0.5)
    assert list(figure.data[0].y) == [0.75]
    assert figure.layout.shapes[0].y0 == 0.5
    assert figure.layout.yaxis.title.text == "validation accuracy"


def test_norm_and_drift_are_drawn_in_their_units() -> None:
    run = curves("one", RECORDS)
    assert list(norm_curves([run]).data[0].y) == [1, 1.5, 2]
    assert list(moved_curves([run]).data[0].y) == [25]


def test_every_run_of_many_has_a_style_of_its_own() -> None:
    figure = norm_curves([curves(str(i), RECORDS) for i in range(20)])
    assert len({(trace.line.color, trace.line.dash) for trace in figure.data}) == 20


def test_parallel_axes_carry_numbers_as_numbers_and_words_as_ticks() -> None:
    settings = {
        "length": [5, 20, 5],
        "start": ["vocab", "text:a <b>", "vocab"],
        "rate": [10, "automatic", 9],
    }
    (trace,) = run_coordinates(settings, [0.5, 0.9, 0.7], score="accuracy").data
    length, start, rate, score = trace.dimensions
    assert list(rate["ticktext"]) == ["9", "10", "automatic"]
    assert list(length["values"]) == [5, 20, 5]
    assert list(start["values"]) == [1, 0, 1]
    assert list(start["ticktext"]) == ["text:a &lt;b&gt;", "vocab"]
    assert list(score["values"]) == list(trace.line.color) == [0.5, 0.9, 0.7]


def test_a_bar_per_way_is_cut_into_the_label_words() -> None:
    figure = probability_bars(
        ["mine", "<b>alone</b>"], [{"bad": 0.05, "good": 0.95}, {"bad": 0.5, "good": 0.5}]
    )
    bad, good = figure.data
    assert (bad.name, list(bad.x), list(bad.text)) == ("bad", [0.05, 0.5], ["", "bad 0.50"])
    assert list(good.x) == [0.95, 0.5]
    assert list(figure.layout.yaxis.ticktext) == ["mine", "&lt;b&gt;alone&lt;/b&gt;"]
    assert bad.marker.color != good.marker.color
