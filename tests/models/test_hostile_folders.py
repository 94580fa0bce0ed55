"""Model folders whose configuration claims what their weights are not: one line, soon."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from probe.errors import ModelNotFoundError
from probe.models.loading import load_model
from probe.tables.named import place_of

_SOON_S = 20.0
"""Of the processor's time: a refusal takes a second, and a busy machine changes nothing."""
_BUILTIN = place_of("builtin")
_KEYS = ("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "head_dim")
_CLAIMS = {
    **{f"{key} = {value}": {key: value} for key in _KEYS for value in (10**6, 10**12, -1, "x")},
    "a list of sizes": {"hidden_size": [320]},
    "an endless float": {"intermediate_size": 1e308},
    "positions of gpt2": {"model_type": "gpt2", "n_positions": 10**11},
    "positions of opt": {"model_type": "opt", "max_position_embeddings": 10**11},
    "experts": {"model_type": "mixtral", "num_local_experts": 10**7},
    "states": {"model_type": "mamba", "state_size": 10**10},
    "token types": {"model_type": "bert", "type_vocab_size": 10**11},
    "buckets": {"model_type": "t5", "relative_attention_num_buckets": 10**11},
}


@pytest.mark.parametrize("claim", _CLAIMS.values(), ids=_CLAIMS.keys())
@pytest.mark.slow
def test_a_claim_that_the_weights_do_not_bear_out_is_refused_soon(
    claim: dict[str, object], tmp_path: Path
) -> None:
    for file in _BUILTIN.iterdir():
        os.symlink(file, tmp_path / file.name)
    said = json.loads((_BUILTIN / "config.json").read_text()) | {"architectures": None}
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").write_text(json.dumps(said | claim))
    began = time.process_time()
    with pytest.raises(ModelNotFoundError) as refused:
        load_model(tmp_path)
    assert time.process_time() - began < _SOON_S
    assert "\n" not in str(refused.value) and "not enough memory" not in str(refused.value)
