from __future__ import annotations

import dataclasses
import html
from pathlib import Path

import numpy as np
import pytest

from probe.analysis.decoding import Controls, Decoding, ReferenceScores, decode
from probe.charts import (
    colour_meaning,
    neighbour_bars,
    norm_bars,
    position_rank_map,
    score_text,
    score_violins,
    token_label,
    visible,
)
from probe.charts.labels import name_label
from probe.prompt import SoftPrompt
from probe.tables import load_vocabulary
from tests.hostile import HOSTILE, prompt_rows, write_hostile_model


@pytest.fixture(scope="module")
def decoding(tmp_path_factory: pytest.TempPathFactory) -> Decoding:
    return _decode(tmp_path_factory.mktemp("model"), metric="cosine")


def _decode(folder: Path, **options: object) -> Decoding:
    vocabulary = load_vocabulary(write_hostile_model(folder))
    return decode(SoftPrompt("hostile", prompt_rows()), vocabulary, k=3, **options)


def test_the_map_has_one_clickable_square_per_position_and_rank(decoding: Decoding) -> None:
    squares = position_rank_map(decoding).data[1]
    assert squares.type == "scatter"
    assert squares.marker.symbol == "square"
    found = {(row[0], row[1]) for row in squares.customdata}
    assert found == {(p, rank) for p in range(len(HOSTILE)) for rank in (1, 2, 3)}


def test_the_map_is_the_same_whichever_position_is_picked(decoding: Decoding) -> None:
    """A changed figure would lose the reader's zoom and the selection itself."""
    assert position_rank_map(decoding).to_json() == position_rank_map(decoding).to_json()


def test_nearer_is_always_bluer(decoding: Decoding, tmp_path: Path) -> None:
    for metric in ("cosine", "l2", "dot"):
        heat = position_rank_map(_decode(tmp_path, metric=metric)).data[0]
        for row in heat.z:
            assert list(row) == sorted(row, reverse=True)
        assert heat.zmin < heat.zmax


def test_colour_runs_from_chance_to_real_tokens(decoding: Decoding) -> None:
    reference = ReferenceScores(*(np.full(4, value) for value in (0.9, 0.7, 0.3, 0.2)))
    clear = dataclasses.replace(decoding, reference=reference)
    heat = position_rank_map(clear).data[0]
    assert (heat.zmin, heat.zmax) == (0.3, 0.7)
    assert list(heat.colorbar.ticktext) == ["Gaussian control: 0.300", "held-out tokens: 0.700"]
    assert "Grey is the median best score of the Gaussian control" in colour_meaning(clear)
    assert "the same colours for every prompt" in colour_meaning(clear)
    far = ReferenceScores(*(np.full(4, value) for value in (0.1, 0.3, 0.7, 0.8)))
    distances = dataclasses.replace(decoding, metric="l2", reference=far)
    assert colour_meaning(distances).endswith("blue that of held-out tokens.")


def test_colour_is_relative_and_says_so_where_real_tokens_are_no_closer_than_chance(
    decoding: Decoding,
) -> None:
    reference = ReferenceScores(*(np.full(4, value) for value in (0.9, 0.3, 0.7, 0.2)))
    muddled = dataclasses.replace(decoding, reference=reference)
    scores = [n.score for p in decoding.positions for n in p.neighbours]
    heat = position_rank_map(muddled).data[0]
    assert (heat.zmin, heat.zmax) == (min(scores), max(scores))
    assert "No absolute scale is possible" in colour_meaning(muddled)


def test_found_cells_are_framed_and_not_clickable(decoding: Decoding) -> None:
    frames = position_rank_map(decoding, found=[(4, 1), (7, 2)]).data[2]
    assert (list(frames.x), list(frames.y)) == ([1, 2], [4, 7])
    assert frames.hoverinfo == "skip"


def test_a_long_prompt_gets_a_map_without_token_text() -> None:
    rng = np.random.default_rng(0)
    prompt = SoftPrompt("long", rng.standard_normal((100, 320)))
    figure = position_rank_map(
        decode(prompt, load_vocabulary("builtin"), controls=Controls(computed=False))
    )
    assert figure.data[1].mode == "markers"
    assert figure.layout.height < 1500


def test_a_single_score_still_makes_a_colour_range(tmp_path: Path) -> None:
    vocabulary = load_vocabulary(write_hostile_model(tmp_path))
    one = decode(
        SoftPrompt("one", prompt_rows()[:1]), vocabulary, k=1, controls=Controls(computed=False)
    )
    heat = position_rank_map(one).data[0]
    assert heat.zmin < heat.zmax


def test_bars_are_one_position_s_neighbours_best_first(decoding: Decoding) -> None:
    figure = neighbour_bars(decoding, 4)
    assert list(figure.data[0].x) == [n.score for n in decoding.positions[4].neighbours]
    assert figure.layout.yaxis.ticktext[0] == "pipe|pipe"


def test_bars_show_where_the_three_samples_reach(decoding: Decoding) -> None:
    lines = {trace.name.split(",")[0]: trace.x[0] for trace in neighbour_bars(decoding, 0).data[1:]}
    assert decoding.reference is not None
    assert lines == {
        "Gaussian control": np.median(decoding.reference.chance),
        "held-out tokens": np.median(decoding.reference.vocabulary),
        "isotropic control": np.median(decoding.reference.isotropic),
    }


def test_violins_hold_every_score_of_the_prompt_and_the_three_samples(decoding: Decoding) -> None:
    figure = score_violins(decoding)
    reference = decoding.reference
    assert reference is not None
    drawn = [np.asarray(trace.y, dtype=float) for trace in figure.data]
    for found, expected in zip(
        drawn,
        [reference.prompt, reference.vocabulary, reference.chance, reference.isotropic],
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


def test_violins_without_controls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="decode with controls=True"):
        score_violins(_decode(tmp_path, controls=Controls(computed=False)))


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
def test_axes_say_which_way_is_closer(tmp_path: Path, metric: str) -> None:
    title = score_violins(_decode(tmp_path, metric=metric)).layout.yaxis.title.text
    assert ("lower = closer" if metric == "l2" else "higher = closer") in title


def test_no_figure_carries_markup_of_a_token(decoding: Decoding) -> None:
    texts = [
        *position_rank_map(decoding).data[1].text,
        *(row[2] for row in position_rank_map(decoding).data[1].customdata),
        *(
            t
            for p in range(len(HOSTILE))
            for t in neighbour_bars(decoding, p).layout.yaxis.ticktext
        ),
    ]
    assert any("&lt;" in text for text in texts)
    for text in texts:
        assert "<" not in text
        assert ">" not in text
        assert "\n" not in text
        assert "\u202e" not in text


def test_every_figure_names_its_template_and_leaves_text_to_the_page(decoding: Decoding) -> None:
    figures = [
        position_rank_map(decoding),
        neighbour_bars(decoding, 0),
        score_violins(decoding),
        norm_bars([1.0, 2.0], vocabulary_range=(0.5, 1.5)),
    ]
    for figure in figures:
        assert figure.layout.template.layout.colorway
        assert figure.layout.template.layout.font.color
        assert figure.layout.template.layout.polar.bgcolor is None  # what nobody uses stays out
        assert figure.layout.font.color is None
        assert figure.layout.paper_bgcolor == "rgba(0, 0, 0, 0)"


def test_norms_are_drawn_over_the_vocabulary_s_own() -> None:
    figure = norm_bars([1.0, 3.0], vocabulary_range=(0.5, 1.5))
    assert list(figure.data[0].y) == [1.0, 3.0]
    assert (figure.layout.shapes[0].y0, figure.layout.shapes[0].y1) == (0.5, 1.5)


@pytest.mark.parametrize("token", HOSTILE)
def test_a_label_is_the_token_once_plotly_has_read_it(token: str) -> None:
    assert html.unescape(token_label(token)) == visible(token)


def test_hidden_characters_are_spelled_out() -> None:
    assert visible("a\u202eb\u200b\x00\n\t\U000e0001") == "a\\u202eb\\u200b\\x00⏎⇥\\U000e0001"


def test_a_long_label_ends_in_an_ellipsis_and_never_inside_an_escape() -> None:
    assert token_label("<<<<<<", most=4) == "&lt;&lt;&lt;…"


def test_names_of_prompts_that_begin_alike_stay_apart_when_they_are_cut() -> None:
    names = ("smollm2-distilled-french", "smollm2-distilled-dogs")
    labels = [name_label(name, most=16) for name in names]
    assert labels == ["smoll…led-french", "smoll…illed-dogs"]
    assert [len(label) for label in labels] == [16, 16]
    assert name_label("a<b", most=9) == "a&lt;b"


@pytest.mark.parametrize(
    ("score", "metric", "text"),
    [(0.12345, "cosine", "0.123"), (12.34567, "l2", "12.35"), (-3.0, "dot", "-3")],
)
def test_scores_have_sensible_digits(score: float, metric: str, text: str) -> None:
    assert score_text(score, metric) == text


def test_picking_a_cell_leaves_the_words_of_the_others_readable(decoding: Decoding) -> None:
    squares = position_rank_map(decoding).data[1]
    assert squares.unselected.textfont.color == squares.textfont.color
    assert squares.selected.textfont.color == squares.textfont.color
