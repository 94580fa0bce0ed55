"""Figures of comparisons, maps and drift: what they show, carry and escape."""

import dataclasses

import numpy as np
import pytest

from probe.analysis.compare import compare_rows, hierarchy, position_view
from probe.analysis.layouts import Layout
from probe.analysis.maps import map_rows
from probe.analysis.starts import drift
from probe.charts import (
    closeness_bars,
    drift_changes,
    drift_lines,
    map_figure,
    position_view_map,
    similarity_map,
    trajectory_map,
    variance_bars,
)
from probe.charts import maps as map_charts
from probe.tables import load_vocabulary
from tests.hostile import prompt_rows, write_hostile_model

NASTY = "<b>bold</b>"


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((2, 1, 8)) * 4
    return [centres[n % 2] + rng.standard_normal((4, 8)) for n in range(6)]


@pytest.fixture(scope="module")
def comparison(rows):
    return compare_rows(rows, names=[NASTY, *"bcdef"])


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    vocabulary = load_vocabulary(write_hostile_model(tmp_path_factory.mktemp("model")))
    rows = prompt_rows()
    return map_rows([rows[:3], rows[3:]], vocabulary, Layout(), names=[NASTY, "b"])


def _trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def test_cells_stand_in_the_order_of_the_tree_and_carry_their_prompts(comparison):
    tree = hierarchy(comparison)
    figure = similarity_map(comparison, tree)
    _, cells, squares = figure.data
    order = list(tree.order)
    np.testing.assert_allclose(cells.z, comparison.matrix[np.ix_(order, order)])
    for x, y, custom in zip(squares.x, squares.y, squares.customdata, strict=True):
        assert custom[:2] == (order[y], order[x]) or list(custom[:2]) == [order[y], order[x]]
    assert squares.type == "scatter" and len(squares.customdata) == 36
    assert [n % 2 for n in order] in ([0] * 3 + [1] * 3, [1] * 3 + [0] * 3)


def test_the_leaves_of_the_tree_stand_over_the_columns(comparison):
    tree = hierarchy(comparison)
    lines = similarity_map(comparison, tree).data[0]
    heights = [y for y in lines.y if y is not None]
    assert max(heights) < -0.5  # above the first row: rows are counted downward
    at_the_floor = {x for x, y in zip(lines.x, lines.y, strict=True) if y == max(heights)}
    assert at_the_floor == set(range(6))


def test_no_digit_of_a_value_in_a_cell_is_lost():
    rows = [np.full((1, 4), 10.0 * n, np.float32) for n in range(4)]
    compared = compare_rows(rows, names=[*"abcd"], measure="transport")
    figure = similarity_map(compared, hierarchy(compared))
    values = {f"{value:.2f}" for value in compared.matrix.flat}
    written = {f"0{text}" if text[0] == "." else text for text in figure.data[-1].text}
    assert written == values and any(float(value) >= 10 for value in values)


def test_cells_are_square_and_the_height_of_the_tree_is_named(comparison):
    tree = hierarchy(comparison)
    axis = similarity_map(comparison, tree).layout.yaxis
    assert axis.scaleanchor == "x" and axis.scaleratio in (None, 1)
    assert axis.ticktext[:2] == (f"1 − value: {tree.linkage[-1, 2]:.2g}", "0")


def test_closer_is_bluer_whichever_way_the_measure_goes(rows):
    for measure in ("chamfer", "mean_token_cosine"):
        comparison = compare_rows(rows, measure, names="abcdef")
        cells = similarity_map(comparison, hierarchy(comparison)).data[1]
        order = list(hierarchy(comparison).order)
        i, j, value = comparison.nearest[0]
        assert cells.z[order.index(i)][order.index(j)] == cells.zmax
        assert abs(cells.zmax) == pytest.approx(abs(value))


def test_names_are_shown_not_obeyed(comparison, rows, mapped):
    figures = [
        similarity_map(comparison, hierarchy(comparison)),
        closeness_bars(comparison, 1),
        position_view_map(position_view(rows[0], rows[1], names=(NASTY, "b"))),
        map_figure(mapped),
    ]
    for figure in figures:
        text = figure.to_json()
        assert "bold" in text
        assert "<b>bold" not in text and "\\u003cb\\u003ebold" not in text


def test_bars_rank_the_other_prompts_closest_first(comparison):
    bars = closeness_bars(comparison, 2).data[0]
    ranked = [custom[0] for custom in bars.customdata]
    assert sorted(ranked) == [0, 1, 3, 4, 5]
    assert list(bars.x) == sorted(bars.x, reverse=True)
    assert list(bars.x) == [comparison.matrix[2, i] for i in ranked]
    assert len(closeness_bars(comparison, 2, most=2).data[0].x) == 2


def test_many_prompts_lose_names_and_written_values_not_cells():
    rng = np.random.default_rng(1)
    comparison = compare_rows(
        list(rng.standard_normal((60, 3, 4))), names=[str(n) for n in range(60)]
    )
    figure = similarity_map(comparison, hierarchy(comparison))
    assert figure.data[2].type == "scattergl"  # thousands of elements would choke a browser
    assert figure.data[2].text is None and len(figure.data[2].customdata) == 3600
    assert len(figure.layout.yaxis.tickvals) == 2  # those of the tree


def test_every_position_meets_every_other(rows):
    figure = position_view_map(position_view(rows[0], rows[1][:3], names=("a", "b")))
    assert np.shape(figure.data[0].z) == (4, 3) and len(figure.data[1].customdata) == 12


def test_map_points_carry_ids_that_do_not_depend_on_what_is_drawn(mapped):
    figure = map_figure(mapped)
    words = _trace(figure, "vocabulary")
    ids = {row[0] for row in words.customdata}
    assert ids == {f"v:{i}" for i in mapped.background_ids}
    stars = [row[0] for trace in figure.data[2:] for row in trace.customdata]
    assert stars[:4] == ["p:0:0", "p:0:1", "p:0:2", "p:1:0"]
    assert {trace.type for trace in figure.data} == {"heatmap", "scattergl"}
    assert map_figure(mapped).to_json() == figure.to_json()
    assert figure.layout.dragmode == "pan"  # with a lasso in hand Streamlit hears no click


def test_at_most_ten_thousand_words_can_be_picked_and_those_searched_for_among_them(
    mapped, monkeypatch
):
    monkeypatch.setattr(map_charts, "SELECTABLE", 5)
    last = int(mapped.background_ids[-2])
    figure = map_figure(mapped, found=[last])
    words = _trace(figure, "vocabulary")
    assert len(words.customdata) == 5
    assert f"v:{last}" in {row[0] for row in words.customdata}
    rings = _trace(figure, "found")
    np.testing.assert_allclose([rings.x[0], rings.y[0]], mapped.background[-2])


def test_clusters_colour_the_stars(mapped):
    labels = np.arange(len(mapped.points)) % 2
    labels[0] = -1
    names = [trace.name for trace in map_figure(mapped, clusters=labels).data[2:]]
    assert names == ["in no cluster", "cluster 0", "cluster 1"]
    named = map_figure(mapped, clusters=labels, names={1: NASTY}).data[2:]
    assert [trace.name for trace in named][1:] == ["cluster 0", "&lt;b&gt;bold&lt;/b&gt;"]


def test_bars_of_variance_begin_with_the_axes_that_are_shown(mapped):
    bars = variance_bars(mapped).data[0]
    np.testing.assert_allclose(np.array(bars.y[:2]) / 100, mapped.explained)
    assert len(bars.y) == 10 and len(set(bars.marker.color[:2])) == 1
    with pytest.raises(ValueError, match="only PCA"):
        variance_bars(dataclasses.replace(mapped, method="umap", spectrum=()))


def test_the_caption_says_how_the_map_was_made_and_how_far_to_trust_it(mapped):
    caption = " ".join(mapped.headline())
    assert f"PCA of {len(mapped.points)} prompt rows" in caption and "seed 0" in caption
    assert f"among {mapped.trust_sample} sampled rows" in caption


def test_the_paths_of_rows_are_drawn_apart_and_end_where_they_stand(mapped):
    rows = prompt_rows()[:3]
    steps = [rows, rows + 1, rows + 2]
    found = map_rows(steps, mapped.vocabulary, Layout(), names=["0", "1", "2"])
    figure = trajectory_map(found, 1, [NASTY, "b", "c"])
    lines, start, now = figure.data[1:]
    assert np.isnan(lines.x).sum() == 3 and len(lines.x) == 3 * 4
    np.testing.assert_allclose(lines.x[:3], found.points[[0, 3, 6], 0])
    np.testing.assert_allclose(start.y, found.points[:3, 1])
    np.testing.assert_allclose(now.y, found.points[3:6, 1])
    assert now.customdata[0][1] == "&lt;b&gt;bold&lt;/b&gt;"


def test_drift_is_drawn_per_position_with_its_median():
    moves = np.arange(24.0).reshape(3, 4, 2)
    found = drift(moves, [0, 5, 9], name="p")
    figure = drift_lines(found, "norm")
    assert len(figure.data) == 5
    np.testing.assert_allclose(_trace(figure, "median").y, np.median(found.norm, axis=1))
    with pytest.raises(ValueError, match="give drift a vocabulary"):
        drift_changes(found)


def test_changes_of_tokens_are_bars_between_checkpoints(mapped):
    rows = mapped.vocabulary.rows([[3, 4], [3, 5], [6, 7]])
    found = drift(rows, [0, 5, 9], name="p", vocabulary=mapped.vocabulary, metric="l2")
    bars = drift_changes(found).data[0]
    assert list(bars.x) == ["5", "9"] and list(bars.y) == [1, 2]


def test_prompts_all_equally_apart_have_one_tick(rows):
    same = compare_rows([rows[0]] * 3, names=list("abc"), measure="chamfer")
    bar = similarity_map(same, hierarchy(same)).data[1].colorbar
    assert list(bar.ticktext) == ["0"] and len(bar.tickvals) == 1


def test_a_negative_tick_is_written_as_the_axes_write_it():
    rows = [np.array([[1.0, 0.0]]), np.array([[-1.0, 0.1]]), np.array([[1.0, 0.2]])]
    comparison = compare_rows(rows, names=list("abc"))
    bar = similarity_map(comparison, hierarchy(comparison)).data[1].colorbar
    assert bar.ticktext[0].startswith("−0.9") and list(bar.tickvals)[1] == 0


def test_values_on_both_sides_of_zero_have_a_colour_on_each(rows):
    mixed = [np.array([[1.0, 0.0]]), np.array([[-1.0, 0.1]]), np.array([[1.0, 0.2]])]
    for prompts, diverging in ((mixed, True), ([abs(one) for one in mixed], False)):
        found = compare_rows(prompts, names=list("abc"))
        cells = similarity_map(found, hierarchy(found)).data[1]
        assert (cells.zmin == -cells.zmax) is diverging
        assert cells.zmin <= found.nearest[-1][2] and cells.zmax >= found.nearest[0][2]


def test_the_task_of_each_row_stands_beside_it(comparison):
    tasks = ("x", "y", "x", None, "<b>z", "y")
    tree = hierarchy(comparison)
    _, cells, *strip, _ = similarity_map(dataclasses.replace(comparison, tasks=tasks), tree).data
    assert cells.showlegend is False
    assert [one.name for one in strip] == ["&lt;b&gt;z", "x", "y"]
    beside = {y: one.name for one in strip for y in one.y}
    for row, prompt in enumerate(tree.order):
        assert beside.get(row) == (tasks[prompt] and tasks[prompt].replace("<b>", "&lt;b&gt;"))
    assert len({one.marker.color for one in strip}) == 3
    assert max(x for one in strip for x in one.x) < -0.5  # left of the first cell
