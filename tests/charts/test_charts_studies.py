"""Figures of the waywardness study and of grids hold the numbers, and nothing a text would obey."""

import dataclasses

import pytest

from probe.analysis.grids import GridRun, grid_result
from probe.analysis.waywardness import WaywardRun, waywardness
from probe.charts import (
    definition_bars,
    figures_html,
    gamma_curves,
    pareto_points,
    sweep_figures,
    waywardness_figures,
)

RUN = WaywardRun(
    model="m", parameters=10, task="t", kind="true", target="<b>say</b> it", tokens=2, gamma=0.0,
    seed=0, init="vocab", validation_accuracy=0.9, test_accuracy=0.8, f1=0.1, token_match=0.0,
    decoded="<i>no", distance=1.0, validation_loss_nats=0.5, test_loss_nats=0.5,
    train_loss_nats=0.5, steps=9, stopped="finished", prompt="p",
)  # fmt: skip


@pytest.fixture
def found():
    runs = []
    for kind, accuracy in (("true", 0.8), ("contradictory", 0.6)):
        runs.append(dataclasses.replace(RUN, kind=kind))
        runs.append(dataclasses.replace(RUN, kind=kind, gamma=1.0, test_accuracy=accuracy, f1=1.0))
    return waywardness(runs)


def test_gamma_is_drawn_against_mean_accuracy_and_f1(found):
    accuracy, f1 = gamma_curves(found).data
    assert list(accuracy.x) == ["0", "1"]
    assert accuracy.y == pytest.approx((0.8, 0.7)) and f1.y == pytest.approx((0.1, 1.0))
    assert accuracy.error_y.array == pytest.approx((0, 0.2))
    assert gamma_curves(waywardness(found.runs[:1])).data[0].error_y.array == (None,)


def test_the_accuracy_without_a_prompt_is_a_line_where_it_is_known(found):
    known = {"zero_shot_accuracy": 0.55, "majority_accuracy": 0.6}
    figure = gamma_curves(waywardness([dataclasses.replace(run, **known) for run in found.runs]))
    told = {shape.name: shape.y0 for shape in figure.layout.shapes if shape.showlegend}
    assert told == {"without a prompt": 0.55, "most frequent label": 0.6}
    assert all(shape.y0 == 0.98 for shape in gamma_curves(found).layout.shapes)


def test_a_change_of_accuracy_is_up_where_it_gains(found):
    points = waywardness_figures(found)["Prompt length"]
    assert sorted(y for trace in points.data for y in trace.y) == pytest.approx([-25, 0])
    assert points.layout.yaxis.title.text == "accuracy change, %"


def test_true_and_contradictory_definitions_stand_side_by_side(found):
    assert [bar.y[0] for bar in definition_bars(found).data] == pytest.approx([0.8, 0.8, 0.6])


def test_a_study_has_the_figures_it_has_data_for(found):
    assert len(waywardness_figures(found)) == 3
    runs = [*found.runs, *(dataclasses.replace(r, model="n", parameters=99) for r in found.runs)]
    assert "Model size" in waywardness_figures(waywardness(runs))
    assert waywardness_figures(waywardness([])) == {} and sweep_figures(grid_result([])) == {}


def test_texts_are_shown_and_not_obeyed(found):
    drawn = waywardness_figures(found)["Prompt length"].to_json()
    assert "<i>no" not in drawn and "<b>say" not in drawn and "&lt;i&gt;no" in drawn
    page = figures_html("<script>", {"a < b": gamma_curves(found)})
    head = page[: page.index("<h2>")]
    assert "<script>" not in head and "&lt;script&gt;" in head and "<h2>a &lt; b</h2>" in page
    assert "<script src" not in page  # nothing comes from a network


def test_a_front_joins_what_is_worth_its_cost():
    run = GridRun(
        model="m", parameters=10, task="t", method="prompt_tuning", length=1, init="vocab",
        learning_rate=0.1, varied={}, seed=0, fold=None, metric="accuracy", validation_score=0.8,
        test_score=0.7, test_loss_nats=None, trained_parameters=20, run_s=2.0, steps=9,
        stopped="finished", prompt="p",
    )  # fmt: skip
    pairs = ((1, 0.5), (5, 0.4), (20, 0.9))
    runs = [dataclasses.replace(run, length=length, test_score=score) for length, score in pairs]
    front, points = pareto_points(grid_result(runs)).data
    assert (list(front.x), list(front.y)) == ([1, 20], [0.5, 0.9])
    assert list(points.marker.symbol) == ["circle", "circle-open", "circle"]
