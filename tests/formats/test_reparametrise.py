"""Numpy prompt encoders against torch's own modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from probe.errors import PromptFormatError
from probe.formats.containers.limits import Budget
from probe.formats.layouts.reparametrise import bidirectional_lstm, mlp
from tests.formats.made_files import randomise


def _weights(module: nn.Module) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in module.state_dict().items()}


@pytest.mark.parametrize("seed", range(4))
def test_a_bidirectional_lstm_is_torchs(seed: int) -> None:
    depth, width, hidden, rows = 1 + seed % 3, 3 + seed, 2 + seed, 1 + 2 * seed
    lstm = nn.LSTM(width, hidden, num_layers=depth, bidirectional=True, batch_first=True)
    randomise(lstm, seed)
    inputs = torch.randn(rows, width)
    expected = lstm(inputs[None])[0][0].detach().numpy()
    found = bidirectional_lstm(inputs.numpy(), _weights(lstm), Budget(0))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "module"), [("relu", nn.ReLU), ("tanh", nn.Tanh)])
def test_an_mlp_is_torchs(name: str, module: type[nn.Module]) -> None:
    network = nn.Sequential(nn.Linear(3, 4), module(), nn.Linear(4, 4), module(), nn.Linear(4, 2))
    randomise(network, 1)
    inputs = torch.randn(5, 3)
    found = mlp(inputs.numpy(), _weights(network), name, Budget(0))
    np.testing.assert_allclose(found, network(inputs).detach().numpy(), rtol=1e-5, atol=1e-5)


def test_saturated_gates_do_not_overflow() -> None:
    lstm = nn.LSTM(2, 2, bidirectional=True, batch_first=True)
    weights = {key: value * 1e6 for key, value in _weights(lstm).items()}
    assert np.isfinite(bidirectional_lstm(np.ones((3, 2), np.float32), weights, Budget(0))).all()


def test_an_mlp_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 to 8 linear layers, found 0"):
        mlp(np.ones((2, 2)), {}, "relu", Budget(0))


def test_work_is_refused_before_it_begins() -> None:
    rows, weight = np.ones((40_000, 1), np.float32), np.ones((40_000, 1), np.float32)
    layer = {"0.weight": weight, "0.bias": weight[:, 0]}
    with pytest.raises(PromptFormatError, match="40,000 rows × 40,000 numbers would unpack"):
        mlp(rows, layer, "relu", Budget(0))
    wide = np.broadcast_to(np.float32(0), (1 << 10, 1 << 15))
    with pytest.raises(ValueError, match="2,000 rows are too many for a layer"):
        mlp(np.ones((2000, 1 << 15), np.float32), {"0.weight": wide, "0.bias": wide[0]}, "relu",
            Budget(0))  # fmt: skip
    deep = {f"weight_ih_l{layer}": np.ones((4, 1)) for layer in range(9)}
    with pytest.raises(ValueError, match="at most 8 layers of an LSTM, found 9"):
        bidirectional_lstm(np.ones((1, 1)), deep, Budget(0))
    gates = {"weight_ih_l0": np.ones((4, 1)), "weight_hh_l0": np.ones((4, 1))}
    gates |= {"bias_ih_l0": np.ones(4), "bias_hh_l0": np.ones(4)}
    with pytest.raises(ValueError, match="5,000 rows are too many for an LSTM"):
        bidirectional_lstm(np.ones((5000, 1)), gates, Budget(0))
