"""Figures of transfer, ablation, attention and lenses show what was found and obey no token."""

import numpy as np
import pytest

from probe.analysis.ablation import ablate
from probe.analysis.attention import AttentionMass
from probe.analysis.lens import LayerControl, Lens, LensCell, LensToken
from probe.analysis.patching import Description, Descriptions
from probe.analysis.transfer import RankCorrelation, Transfer, TransferCell, TransferTask
from probe.analysis.value_lens import ValueCell, ValueLens
from probe.charts import (
    ablation_bars,
    attention_map,
    class_rate_bars,
    correlation_bars,
    lens_map,
    lens_overlap,
    transfer_map,
)
from probe.prompt import SoftPrompt
from probe.task import Example

NASTY = "<b>bold</b>\u202e"
SHOWN = "&lt;b&gt;bold&lt;/b&gt;\\u202e"


@pytest.fixture
def transfer():
    prompts, tasks = (NASTY, "two", "three", "four"), ("x", "y")
    cells = tuple(
        TransferCell(p, t, 0.1 * i + 0.3 * j, (0, 1), 0.1 * (i - j), (-1, 1))
        for i, p in enumerate(prompts)
        for j, t in enumerate(tasks)
    )
    return Transfer(
        prompts,
        ("x", "y", None, "x"),
        tuple(TransferTask(t, "accuracy", 9) for t in tasks),
        cells,
        correlations=(
            RankCorrelation("chamfer", False, 2, 5, 0.5, 0.4, 0.03),
            RankCorrelation("chamfer", True, 3, 9, -0.5, -0.4, 0.3),
            RankCorrelation("cka", True, 0, 0, None, None, None),
        ),
    )


def test_the_transfer_map_colours_gains_and_frames_own_tasks(transfer):
    figure = transfer_map(transfer)
    heat = figure.data[0]
    np.testing.assert_allclose(np.array(heat.z, float), transfer.gains)
    assert heat.zmin == -heat.zmax
    assert heat.text[3][1] == "0.600"
    assert figure.layout.yaxis.ticktext[0] == SHOWN
    frames = [((s.x0 + s.x1) / 2, (s.y0 + s.y1) / 2) for s in figure.layout.shapes]
    assert frames == [(0, 0), (1, 1), (0, 3)]


def test_correlations_stand_by_measure_and_undefined_ones_are_left_out(transfer):
    figure = correlation_bars(transfer)
    assert [list(trace.x) for trace in figure.data] == [[0.5], [-0.5]]
    assert list(figure.layout.yaxis.ticktext) == ["Chamfer distance"]
    bare = Transfer(transfer.prompts, transfer.trained_on, transfer.tasks, transfer.cells)
    with pytest.raises(ValueError, match="no correlations"):
        correlation_bars(bare)


def test_ablation_bars_show_intervals_and_grey_out_what_is_unclear():
    def score(prompt, examples):
        total = 0.0 if prompt is None else float(prompt.embeddings.sum())
        noise = np.array([len(one.text) - 2.0 for one in examples])
        return -np.stack([2.0 * total + 3 * noise * (total == 5)] * 2, axis=1)

    examples = [Example("a", 0), Example("abc", 1)]
    found = ablate(SoftPrompt("p", np.array([[1.0], [3.0], [2.0]])), score, examples)
    figure = ablation_bars(found)
    bars = figure.data[0]
    assert list(bars.y) == pytest.approx([-2, -6, -4])
    assert len(set(bars.marker.color)) == 2  # one removal leaves a noisy prompt
    changes = [one.removed for one in found.positions]
    assert [one.interval[1] - one.value for one in changes] == list(bars.error_y.array)
    lone = ablate(SoftPrompt("p", np.ones((1, 1))), score, examples)
    with pytest.raises(ValueError, match="no position of p was swapped"):
        ablation_bars(lone, "swapped")


def test_attention_is_coloured_by_its_even_share():
    mass = np.array([[0.2, 0.1], [0.05, 0.0]])
    figure = attention_map(AttentionMass("p", 3, mass, np.full((2, 2), 0.1)))
    np.testing.assert_allclose(np.array(figure.data[0].z, float), [[1, 0], [-1, -3]])


def lens_of(tokens):
    cells = tuple(
        LensCell(layer, position, (LensToken(0, tokens, 0.5), LensToken(1, "b", 0.2)))
        for layer in range(3)
        for position in range(2)
    )
    layers = tuple(LayerControl(layer, 0.5, 0.4, 0.1 * layer) for layer in range(3))
    return Lens("p", 2, 0, 1, cells, layers)


def test_the_lens_map_has_positions_down_and_layers_across_and_obeys_no_token():
    figure = lens_map(lens_of(NASTY))
    heat = figure.data[0]
    assert (len(heat.z), len(heat.z[0])) == (2, 3)
    assert heat.text[0][0] == SHOWN
    assert heat.customdata[1][2].startswith("layer 2, position 1<br>&lt;b&gt;")
    assert "<b>" not in figure.to_json()
    assert [list(trace.y) for trace in lens_overlap(lens_of("a")).data][0] == [0, 0.1, 0.2]


def test_of_a_value_lens_the_surest_head_is_shown():
    cells = tuple(
        ValueCell(0, head, 0, 1.0, (LensToken(head, f"t{head}", share),))
        for head, share in enumerate((0.2, 0.7, 0.1))
    )
    figure = lens_map(ValueLens("k", 1, 0, 1, cells, (LayerControl(0, 0.3, 0.2, 0.0),)))
    assert figure.data[0].text[0][0] == "t1"
    assert "head 1" in figure.data[0].customdata[0][0]


def test_class_rates_stand_beside_those_of_random_prompts():
    layers = (Description(0, NASTY, ("a",), 1.0, 0.25, "noise"),)
    figure = class_rate_bars(Descriptions("p", "{prompt}", ("a",), 4, 0, layers, 1.0, 0.25, 0.2))
    assert [list(trace.y) for trace in figure.data] == [[1.0], [0.25]]
    assert figure.data[0].customdata[0] == SHOWN
