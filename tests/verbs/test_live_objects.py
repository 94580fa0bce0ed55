"""Verbs take prompts and base models in memory, and leave them byte for byte as they were."""

from __future__ import annotations

import copy
import dataclasses
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from peft import (
    LoraConfig,
    MultitaskPromptTuningConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)
from torch import nn
from transformers import GPT2Model

import probe
from probe.datasets import load_task
from probe.errors import DataError, ModelNotFoundError, ProbeError, PromptFormatError
from probe.jobs.headlines import job_headline
from probe.live import LiveModel
from probe.models import load_model
from probe.prompt import KVPrefix, SoftPrompt
from probe.requests import DecodeRequest, RequestError, TrainConfig, command_of, to_document
from probe.store import Workspace
from probe.task import Task
from probe.training import train
from tests import tiny
from tests.trainable import LIGHT
from tests.verbs.live_models import ROWS, open_causal, state_of, tuned

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
QUANTISES = pytest.mark.filterwarnings("ignore:.*(torch.ao|quantiz|TypedStorage).*")
ASKED = {"text": "the film was warm", "template": "{text} it was", "label_word": ("yes", "no")}


@pytest.fixture
def live(model: str, home: Path) -> tuple[Any, Any]:
    return open_causal(model)


@pytest.fixture
def rows(model: str) -> np.ndarray:
    return probe.load_vocabulary(model).rows([7, 9, 11]) + np.float32(0.01)


Verb = Callable[..., Any]


QUESTIONS: dict[str, Verb] = {
    "decode": lambda rows, _, **on: probe.decode(rows, **on),
    "predict": lambda rows, _, **on: probe.predict([rows], **ASKED, **on),
    "generate": lambda rows, _, **on: probe.generate([rows], text="the", max_new_tokens=3, **on),
    "evaluate": lambda rows, task, **on: probe.evaluate(
        [rows], task, limit=4, discretised=True, **on
    ),
    "lens": lambda rows, _, **on: probe.lens(rows, draws=2, **on),
    "read": lambda rows, _, **on: probe.read(rows, readings=("nearest", "promoted"), **on),
    "ablate": lambda rows, task, **on: probe.ablate(rows, task, limit=3, **on),
    "transfer": lambda rows, task, **on: probe.transfer([rows], [task], limit=3, **on),
    "clusters": lambda rows, _, **on: probe.clusters([rows], count=2, **on),
    "compare": lambda rows, _, **on: probe.compare([rows, rows + 1], "jaccard", **on),
}


@pytest.mark.parametrize("ask", list(QUESTIONS.values()), ids=list(QUESTIONS))
def test_a_model_in_memory_answers_as_its_files_and_stays_as_it_was(
    ask: Verb, live: tuple[Any, Any], rows: np.ndarray, model: str, task: str
) -> None:
    before = state_of(live[0])
    found = ask(rows, task, model=live).to_json()
    assert state_of(live[0]) == before
    expected = ask(rows, task, model=model).to_json()
    assert _unnamed(found) == _unnamed(expected)


def _unnamed(document: Any) -> str:
    return re.sub(r"'model': '[^']*'|'notes': \[.*?\]", "", str(document)).replace(" in memory", "")


@pytest.mark.parametrize("ask", [probe.lens, probe.decode], ids=["lens", "decode"])
def test_a_verb_that_fails_leaves_the_model_as_it_was_too(
    ask: Verb, live: tuple[Any, Any], rows: np.ndarray
) -> None:
    before = state_of(live[0])
    with pytest.raises(ProbeError, match="width"):
        ask(rows[:, :-1], model=live[0], tokenizer=live[1])
    assert state_of(live[0]) == before


def test_a_prompt_is_trained_on_a_model_in_memory(
    live: tuple[Any, Any], model: str, task: str, home: Path
) -> None:
    before = state_of(live[0])
    run = probe.train(model=live, task=task, name="mine", **LIGHT)
    assert state_of(live[0]) == before
    (made,) = probe.load("mine")
    (step_by_step,) = _trained(model, load_task(task), LIGHT)
    assert np.array_equal(_rows(made), _rows(step_by_step))
    assert (run.state, made.base_model, run.model) == ("finished", model, f"{model} in memory")
    with pytest.raises(ProbeError, match="in the memory of its process"):
        probe.verbs.resume_run(run.run, steps=9)
    job = Workspace().jobs.get(run.run)
    job.write(dataclasses.replace(job.status, state="cancelled"))
    assert not probe.verbs.show_run(run.run).resumable
    assert "saved" not in job_headline(probe.verbs.show_run(run.run))


def _trained(model: str, task: Task, config: dict[str, Any]) -> Any:
    training = train(load_model(model), task, TrainConfig(**config))
    for _ in training:
        pass
    return training.prompts


def _rows(prompt: Any) -> np.ndarray:
    assert isinstance(prompt, SoftPrompt)
    return prompt.embeddings


CONFIGS = {
    "prompt tuning": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=ROWS),
    "p-tuning, LSTM": PromptEncoderConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=ROWS, encoder_hidden_size=8,
        encoder_reparameterization_type="LSTM", encoder_dropout=0.5, encoder_num_layers=2,
    ),
    "p-tuning, MLP": PromptEncoderConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=ROWS, encoder_hidden_size=8
    ),
    "prefix": PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=ROWS),
    "prefix, projected": PrefixTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=ROWS, prefix_projection=True,
        encoder_hidden_size=8,
    ),
    "multitask": MultitaskPromptTuningConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=ROWS, num_tasks=2, num_ranks=2
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_an_adapter_in_memory_is_what_peft_would_save_of_it(
    kind: str, live: tuple[Any, Any], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    peft = get_peft_model(live[0], copy.deepcopy(CONFIGS[kind]))
    peft.train()  # whose dropout an LSTM would apply
    before = state_of(peft)
    found = probe.load(peft, tokenizer=live[1])
    assert state_of(peft) == before
    peft.eval().save_pretrained(str(tmp_path))
    saved = probe.load(tmp_path)
    assert len(found) == len(saved) == (2 if kind == "multitask" else 1)
    for one, other in zip(found, saved, strict=True):
        assert (one.method, one.base_model) == (other.method, other.base_model)
        for name in ("keys", "values") if isinstance(one, KVPrefix) else ("embeddings",):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_a_peft_model_is_asked_on_its_own_base_model(
    live: tuple[Any, Any], model: str, home: Path
) -> None:
    peft = tuned(live[0])
    asked = probe.predict([peft], tokenizer=live[1], **ASKED)
    assert [used.model for used in asked.prompts] == [f"{model} in memory"]
    (prompt,) = probe.load(peft)
    expected = probe.predict([prompt], model=model, **ASKED)
    assert asked.predictions == expected.predictions
    assert probe.decode(peft).text == probe.decode(prompt, model=model).text
    assert probe.lens(peft, draws=1).model == f"{model} in memory"


def test_each_adapter_is_read_and_one_is_chosen_by_its_name(live: tuple[Any, Any]) -> None:
    peft = tuned(live[0])
    peft.add_adapter("other", PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5))
    assert [(one.name, len(one)) for one in probe.load(peft)] == [("default", 3), ("other", 5)]
    assert len(probe.decode(peft, controls=False).positions) == 3
    assert len(probe.decode(peft, adapter="other", controls=False).positions) == 5
    assert probe.compare(peft, "mean_token_cosine").prompts == ("default", "other")
    said = probe.predict(peft, tokenizer=live[1], **ASKED)
    assert [one.prompt for one in said.predictions] == ["default", "other"]
    (one,) = probe.predict(peft, adapter="other", tokenizer=live[1], **ASKED).prompts
    assert one.name == "other"
    says = r"no adapter 'othr', it has 'default', 'other'; did you mean other"
    with pytest.raises(PromptFormatError, match=says):
        probe.decode(peft, adapter="othr")
    with pytest.raises(RequestError, match="adapter names one of a PEFT model"):
        probe.decode(np.zeros((2, 2)), adapter="other")


def test_tensors_arrays_modules_and_state_dicts_are_the_rows_they_hold(
    rows: np.ndarray, model: str, home: Path
) -> None:
    tensor = torch.from_numpy(rows)
    embedding = nn.Embedding(3, rows.shape[1], _weight=tensor.clone())
    half = tensor.to(torch.bfloat16)
    (quantised,) = probe.load(_Quantised(tensor))
    assert np.allclose(_rows(quantised), rows + 0.5, atol=np.abs(rows).max() / 127)
    for given in (rows, tensor, tensor[None], nn.Parameter(tensor), embedding):
        assert np.array_equal(_rows(*probe.load(given)), rows)
    assert np.array_equal(_rows(*probe.load(half)), half.float().numpy())
    for state in (
        {"soft_prompt": tensor},
        {"model": {"soft_prompt.weight": tensor}},
        {"learned_embedding": rows},
    ):
        assert np.array_equal(_rows(*probe.load(state)), rows)
    found = probe.decode(nn.Parameter(tensor), model=model)
    assert found.text == probe.decode(SoftPrompt("x", rows), model=model).text
    assert probe.inspect([tensor])[0]["name"] == "tensor"


def test_a_dumped_encoder_in_a_state_dict_is_run_as_in_a_file(live: tuple[Any, Any]) -> None:
    torch.manual_seed(0)
    peft = get_peft_model(live[0], copy.deepcopy(CONFIGS["p-tuning, LSTM"])).eval()
    state = {k: v for k, v in peft.state_dict().items() if "prompt_encoder" in k}
    (own,), (dumped,) = probe.load(peft), probe.load(state)
    assert np.allclose(_rows(own), _rows(dumped), atol=1e-6)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros(4, np.float32), r"ndarray in memory: .*\[P, H\]"),
        (torch.zeros(2, 2, 2, 2), r"Tensor in memory: .*\[P, H\]"),
        (torch.tensor([[0.0, float("nan")]]), "must be finite, found 1 NaN"),
        (torch.ones(2, 4, device="meta"), r"on the meta device, which holds a shape \[2, 4\]"),
        (torch.ones(2, 4, dtype=torch.long), "floating-point numbers, found int64"),
        ({"lr": 3}, "expected a soft prompt, found an object without a tensor"),
        (object(), "expected a PEFT model, a tensor"),
        (nn.Linear(4, 4), "expected a soft prompt"),
    ],
)
def test_an_object_that_holds_no_prompt_is_refused_in_one_line(value: Any, says: str) -> None:
    with pytest.raises(PromptFormatError, match=says) as refused:
        probe.load(value)
    assert "\n" not in str(refused.value)


def test_texts_may_be_an_array_a_series_or_a_table(
    live: tuple[Any, Any], rows: np.ndarray, home: Path
) -> None:
    two, worded = ["the film", "the day"], {k: v for k, v in ASKED.items() if k != "text"}
    asked = functools.partial(probe.predict, [rows], model=live, **worded)
    expected = asked(two).predictions
    table = pd.DataFrame({"text": two, "number": [1, 2]})
    for given in (np.array(two), pd.Series(two, index=[7, 8]), table):
        assert asked(given).predictions == expected
    for given, says in ((float("nan"), "float nan"), (b"a", "bytes b'a'"), ([1], "int 1")):
        with pytest.raises(DataError, match=f"expected a text, or a mapping .*, found {says}"):
            asked(given)
    with pytest.raises(TypeError, match=r"decode\(\) takes at most 2 arguments without names"):
        probe.decode(rows, *live)


def test_an_adapter_without_a_prompt_says_what_it_is(live: tuple[Any, Any]) -> None:
    peft = get_peft_model(live[0], LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(PromptFormatError, match="trains a prompt, found LORA"):
        probe.decode(peft)


def test_what_is_no_model_or_has_no_tokenizer_is_refused_in_one_line(
    live: tuple[Any, Any], rows: np.ndarray, home: Path
) -> None:
    model, tokenizer = live
    headless = GPT2Model(tiny_gpt2())
    nowhere = copy.deepcopy(model)
    nowhere.config._name_or_path = ""
    for given, says in (
        (nn.Linear(2, 2), "found a Linear"),
        ((headless, tokenizer), "is a GPT2Model, which predicts no words: give a GPT2LMHeadModel"),
        (nowhere, "came without its tokenizer"),
        ((copy.deepcopy(model).to("meta"), tokenizer), "on the meta device"),
    ):
        with pytest.raises(ModelNotFoundError, match=says):
            probe.predict([rows], model=given, **ASKED)
    with pytest.raises(ModelNotFoundError, match="has dtype float32, asked for is 'bfloat16'"):
        probe.predict([rows], model=live, dtype="bfloat16", **ASKED)
    with pytest.raises(RequestError, match="tokenizer belongs to a model in memory"):
        probe.decode(rows, model="builtin", tokenizer=tokenizer)
    with pytest.raises(
        RequestError, match="must be a name or a place here, found a LlamaForCausalLM"
    ):
        probe.wayward(model=model, task="mood")


def tiny_gpt2() -> Any:
    from transformers import GPT2Config

    return GPT2Config(
        vocab_size=len(tiny.WORDS), n_embd=16, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=5
    )


def test_an_object_in_memory_has_no_command_line_and_no_document(live: tuple[Any, Any]) -> None:
    for request in (DecodeRequest(np.zeros((2, 2))), DecodeRequest("sst2-text", live)):
        with pytest.raises(RequestError, match="object in memory .* no command line or document"):
            command_of(request, "decode")
        with pytest.raises(RequestError, match="object in memory"):
            to_document(request)


def test_a_report_of_objects_says_that_no_command_makes_it_again(
    live: tuple[Any, Any], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    probe.report([tuned(live[0])], page)
    assert "which no command line or document can name" in page.read_text()


class _Quantised(nn.Module):
    """An embedding of whole numbers and a scale per row, as quantisers leave it."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.scale = table.abs().amax(1, keepdim=True) / 127
        self.register_buffer("packed", (table / self.scale).round().to(torch.int8))
        self.num_embeddings, self.embedding_dim = table.shape

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.packed[ids].float() * self.scale[ids] + 0.5


def test_a_vocabulary_in_memory_is_that_of_the_files(live: tuple[Any, Any], model: str) -> None:
    live[1]("the film", padding="max_length", max_length=9, truncation=True)  # it remembers
    found = probe.Vocabulary.from_model(*live)
    disk = probe.load_vocabulary(model)
    assert (found.fingerprint, found.tokens) == (disk.fingerprint, disk.tokens)
    assert all(np.array_equal(own, getattr(disk.masks, k)) for k, own in vars(found.masks).items())
    assert found.encode_special("the film") == disk.encode_special("the film")
    with torch.no_grad():
        live[0].get_input_embeddings().weight += 1  # training goes on
    assert np.array_equal(found.rows([3]), disk.rows([3]))


def test_a_quantised_table_is_what_its_layer_answers(
    live: tuple[Any, Any], rows: np.ndarray, home: Path
) -> None:
    model, tokenizer = live
    layer = _Quantised(model.get_input_embeddings().weight.detach())
    model.set_input_embeddings(layer)
    found = probe.Vocabulary.from_model(model, tokenizer)
    assert np.array_equal(found.rows([4, 2]), layer(torch.tensor([4, 2])).numpy())
    near = found.rows([6, 8, 10]) + np.float32(1e-4)
    decoded = probe.decode(near, vocabulary=found, metric="l2", k=1)
    assert [one.neighbours[0].id for one in decoded.positions] == [6, 8, 10]
    asked = probe.predict([near], model=live, **ASKED)
    assert sum(asked.predictions[0].probabilities.values()) == pytest.approx(1)
    with pytest.raises(RequestError, match="give vocabulary or model, not both"):
        probe.decode(near, vocabulary=found, model="builtin")
    with pytest.raises(ModelNotFoundError, match="the vocabulary of .* alone"):
        probe.predict([near], model=found, **ASKED)


def _by_torch(model: Any, **what: Any) -> Any:
    found = torch.ao.quantization.quantize_dynamic(model, **what)
    assert any("torch.ao" in type(part).__module__ for part in found.modules())
    return found


@QUANTISES
def test_a_table_that_torch_quantised_is_read_and_run(
    live: tuple[Any, Any], rows: np.ndarray
) -> None:
    table = {nn.Embedding: torch.ao.quantization.float_qparams_weight_only_qconfig}
    model = _by_torch(live[0], qconfig_spec=table)
    found = probe.Vocabulary.from_model(model, live[1])
    answered = model.get_input_embeddings()(torch.tensor([4, 2]))
    assert np.array_equal(found.rows([4, 2]), answered.numpy())
    frozen = load_model(LiveModel(model, live[1]))
    assert len(frozen.fingerprint) == 64
    (told,) = probe.predict([rows], model=(model, live[1]), **ASKED).predictions
    assert sum(told.probabilities.values()) == pytest.approx(1)


@QUANTISES
def test_a_model_that_torch_rounds_by_the_batch_is_refused_with_that_reason(
    live: tuple[Any, Any], rows: np.ndarray
) -> None:
    model = _by_torch(live[0], qconfig_spec={nn.Linear}, dtype=torch.qint8)
    assert probe.decode(rows, model=(model, live[1])).positions
    with pytest.raises(ModelNotFoundError, match="quantised by torch.ao.*before quantisation"):
        probe.predict([rows], model=(model, live[1]), **ASKED)


class _Patched(nn.Module):
    """An embedding of which one row was trained anew, as PEFT keeps trainable tokens."""

    def __init__(self, layer: nn.Embedding) -> None:
        super().__init__()
        self.layer, self.row = layer, nn.Parameter(torch.ones(layer.embedding_dim))

    @property
    def weight(self) -> torch.Tensor:
        return self.layer.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.where((ids == 13)[..., None], self.row, self.layer(ids))


def test_a_wrapper_that_changes_one_row_is_asked_for_every_row(
    live: tuple[Any, Any], model: str, home: Path
) -> None:
    live[0].set_input_embeddings(_Patched(live[0].get_input_embeddings()))
    found, disk = probe.Vocabulary.from_model(*live), probe.load_vocabulary(model)
    assert np.array_equal(found.rows([13]), np.ones((1, 16)))
    assert np.array_equal(found.rows([12, 14]), disk.rows([12, 14]))
    read = probe.read(np.ones((2, 16), np.float32), vocabulary=found, readings="nearest")
    assert read.readings[0].tokens[0].id == 13 and read.model == found.name
    with pytest.raises(ModelNotFoundError, match="can be run, found the vocabulary"):
        probe.read(np.ones((2, 16), np.float32), vocabulary=found, readings="promoted")


def test_a_layer_that_scales_has_the_factor_of_its_files(tmp_path: Path) -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=len(tiny.WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(tmp_path)
    tiny.save_tokenizer(tmp_path)
    tokenizer = open_tokenizer(tmp_path)
    found, disk = probe.Vocabulary.from_model(model, tokenizer), probe.load_vocabulary(tmp_path)
    assert np.array_equal(found.rows(slice(None)), disk.rows(slice(None)))
    assert (found.factor, found.fingerprint) == (disk.factor, disk.fingerprint)


def open_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))


def test_the_halves_of_an_encoder_decoder_model_are_read_from_memory(
    tmp_path: Path, home: Path
) -> None:
    folder = tiny.save_encoder_decoder(tmp_path / "t5")
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(str(folder))
    tokenizer = open_tokenizer(folder)
    for which in ("encoder", "decoder"):
        own = probe.Vocabulary.from_model(model, tokenizer, which)
        assert own.fingerprint == probe.load_vocabulary(folder, which=which).fingerprint
    peft = get_peft_model(model, PromptTuningConfig(task_type="SEQ_2_SEQ_LM", num_virtual_tokens=2))
    answers = probe.predict([peft], tokenizer=tokenizer, **ASKED)
    peft.save_pretrained(str(tmp_path / "adapter"))
    saved = probe.predict([tmp_path / "adapter"], model=folder, **ASKED)
    assert answers.predictions[0].probabilities == saved.predictions[0].probabilities


def test_a_model_that_load_model_opened_is_taken_with_its_name(
    rows: np.ndarray, model: str, home: Path
) -> None:
    opened = load_model(model)
    expected = probe.predict([rows], model=model, **ASKED).predictions
    before = state_of(opened.model)
    for given in (opened, (opened.model, opened.tokenizer), opened.model):
        found = probe.predict([rows], model=given, **ASKED)
        assert (found.predictions, found.prompts[0].model) == (expected, f"{model} in memory")
    assert state_of(opened.model) == before
    assert probe.load(tuned(load_model("builtin").model))[0].base_model == "builtin"


def test_wrappers_of_torch_are_looked_through(live: tuple[Any, Any], rows: np.ndarray) -> None:
    spread = nn.DataParallel(live[0])
    found = probe.predict([rows], model=(spread, live[1]), **ASKED)
    assert found.predictions == probe.predict([rows], model=live, **ASKED).predictions
    assert LiveModel(live[0]) == LiveModel(live[0])
