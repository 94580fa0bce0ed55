"""Knock-out with layers whose worth is known in closed form."""

import numpy as np
import pytest

from probe.analysis.knock_out import Losses, knock_out
from probe.bootstrap import Bootstrap

SIZES = np.array([1.0, 2.0, 6.0])
WORTH = np.array([1.0, 0.0, 4.0, 2.0])


def measure(layers):
    """Every example loses its size times what the layers are worth, 10 without the prompt."""
    lost = 10.0 if layers is None else WORTH[list(layers)].sum()
    return Losses(1 + SIZES * lost, (SIZES * lost < 5).astype(float))


def test_every_range_of_layers_loses_what_its_layers_are_worth():
    found = knock_out("p", measure, 4)
    mean = SIZES.mean()
    assert (found.loss_nats, found.accuracy, found.n) == (1, 1, 3)
    assert found.without_prompt.loss_nats.value == pytest.approx(10 * mean)
    assert found.everywhere.loss_nats.value == pytest.approx(7 * mean)
    for i, one in enumerate(found.layers):
        assert one.window.loss_nats.value == pytest.approx(WORTH[i] * mean)
        assert one.up_to.loss_nats.value == pytest.approx(WORTH[: i + 1].sum() * mean)
        assert one.onward.loss_nats.value == pytest.approx(WORTH[i:].sum() * mean)
    assert found.layers[2].window.accuracy.value == pytest.approx(-2 / 3)
    assert found.clear("window") == [0, 2, 3]
    expected = Bootstrap(3, seed=0).estimates(SIZES[:, None])[0].interval
    assert found.layers[0].window.loss_nats.interval == pytest.approx(expected)
    assert len(found.to_frame()) == 12


def test_windows_have_their_layer_in_the_middle_and_end_with_the_model():
    found = knock_out("p", measure, 4, window=3)
    assert [one.window.layers for one in found.layers] == [(0, 1), (0, 1, 2), (1, 2, 3), (2, 3)]
    with pytest.raises(ValueError, match="must be 1 layer or more, found 0"):
        knock_out("p", measure, 4, window=0)


def test_the_headline_says_what_hiding_and_removing_cost_and_where_most_is_lost():
    first, second = knock_out("p", measure, 4).headline()
    assert "in all 4 layers, p changes the loss by +21.000 nats" in first
    assert "removed, by +30.000 nats" in first
    assert second.startswith("Most is lost without layer 2: +12.000") and "3 of 4" in second
    nothing = knock_out("p", lambda _: Losses(SIZES), 4)
    assert nothing.headline()[1] == "No layer alone is worth a loss whose interval leaves out 0."
    assert nothing.accuracy is None and nothing.layers[0].window.accuracy is None
    wide = knock_out("p", lambda _: Losses(SIZES), 4, measured="kl", window=2).headline()[1]
    assert wide == "No 2 neighbouring layers are worth a divergence whose interval leaves out 0."


def test_the_layer_of_the_headline_is_clear_though_another_loses_more():
    noise, small = np.array([-9.0, 1.0, 14.0]), np.array([0.5, 0.6, 0.7])

    def noisy(layers):
        return Losses(SIZES + (noise if layers == (0,) else small if layers == (1,) else 0))

    assert knock_out("p", noisy, 3).headline()[1].startswith("Most is lost without layer 1: +0.600")
