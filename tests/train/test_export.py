"""A trained prompt leaves its encoder behind, and PEFT reads it as we do."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from probe.errors import PromptFormatError
from probe.formats import load, save
from probe.models import FrozenModel, load_model, prepare
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt
from probe.task import Task
from probe.train import TrainConfig, train

METHODS = [
    {"method": "prompt_tuning"},
    {"method": "p_tuning", "encoder": "lstm", "init": "random"},
    {"method": "prefix_tuning", "projection": True},
]
FOLDERS: list[Callable[[Path], Path]] = [
    tiny.save_causal,
    tiny.save_gpt2,
    tiny.save_encoder_decoder,
]


def _trained(model: FrozenModel, task: Task, **fields: object) -> AnyPrompt:
    config = TrainConfig.from_dict({"length": 4, "steps": 8, "eval_every": 0} | fields)
    training = train(model, task, config)
    list(training)
    return training.prompts[0]


@pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
)  # PEFT asks
@pytest.mark.parametrize("folder", FOLDERS, ids=["llama", "gpt2", "t5"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["method"])
def test_peft_gives_the_same_likelihoods(
    folder: Callable[[Path], Path], method: dict[str, object], task: Task, tmp_path: Path
) -> None:
    """Log-likelihoods of the label words, PEFT's over its own forward pass."""
    source = folder(tmp_path / "model")
    model = load_model(source, device="cpu")
    prompt = _trained(model, task, **method)
    adapter = save(prompt, tmp_path / "adapter", to="peft")
    rows = prepare(model, task, task.validation[:6], prompt_length=4)
    ours = model.label_scores(model.injection_of([prompt]), rows).detach()

    causal = model.family == "causal"
    automatic = AutoModelForCausalLM if causal else AutoModelForSeq2SeqLM
    theirs = PeftModel.from_pretrained(automatic.from_pretrained(source), adapter).eval()
    for row, expected in zip(rows, ours, strict=True):
        found = [_likelihood(theirs, row.before, option, causal) for option in row.options]
        torch.testing.assert_close(torch.stack(found), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def _likelihood(
    model: PeftModel, before: Sequence[int], option: Sequence[int], causal: bool
) -> torch.Tensor:
    """Log-likelihood in nats of an option, its own tokens fed back."""
    if causal:
        ids = torch.tensor([[*before, *option[:-1]]])
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
    else:
        ids, fed = torch.tensor([before]), torch.tensor([[0, *option[:-1]]])
        logits = model(
            input_ids=ids, attention_mask=torch.ones_like(ids), decoder_input_ids=fed
        ).logits[0]
    likelihoods = logits[-len(option) :].log_softmax(-1)
    return likelihoods.gather(1, torch.tensor(option)[:, None]).sum()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["method"])
def test_a_peft_adapter_starts_the_next_run_where_it_stood(
    causal: FrozenModel, task: Task, method: dict[str, object], tmp_path: Path
) -> None:
    prompt = _trained(causal, task, **method)
    adapter = save(prompt, tmp_path / "adapter", to="peft")
    again = dict(method) | {"init": f"prompt:{adapter}", "eval_every": 0}
    training = train(causal, task, TrainConfig.from_dict(again))
    (start,) = training.prompts
    if isinstance(prompt, KVPrefix):
        assert isinstance(start, KVPrefix)
        np.testing.assert_array_equal(start.keys, prompt.keys)
        np.testing.assert_array_equal(start.values, prompt.values)
    else:
        assert isinstance(start, SoftPrompt)
        np.testing.assert_array_equal(start.embeddings, prompt.embeddings)


def test_the_export_holds_no_encoder_and_says_how_it_was_made(
    causal: FrozenModel, task: Task, tmp_path: Path
) -> None:
    prompt = _trained(causal, task, method="p_tuning", init="text:the film was", length=None)
    assert isinstance(prompt, SoftPrompt)
    assert prompt.embeddings.shape == (3, causal.width)
    assert prompt.method == "p_tuning"
    assert prompt.base_model == causal.name
    assert prompt.task == "moods"
    assert prompt.init_token_ids is not None
    assert len(prompt.init_token_ids) == 3
    assert prompt.config["label_words"] == list(tiny.LABELS)
    assert TrainConfig.from_dict(prompt.config["training"]).method == "p_tuning"
    file = save(prompt, tmp_path / "p.safetensors", to="safetensors")
    (read,) = load(file)
    assert isinstance(read, SoftPrompt)
    assert (read.embeddings == prompt.embeddings).all()
    assert read.config == json.loads(json.dumps(dict(prompt.config)))
    assert file.stat().st_size < 4000


def test_what_peft_cannot_express_is_refused(
    causal: FrozenModel, masked: FrozenModel, task: Task, tmp_path: Path
) -> None:
    inside = _trained(causal, task, length=None, template="{text}{prompt:2} was")
    with pytest.raises(
        PromptFormatError, match=r"stands inside its template .*: convert it to npy"
    ):
        save(inside, tmp_path / "inside", to="peft")
    behind = _trained(masked, task)
    with pytest.raises(PromptFormatError, match="behind the first token of a masked model"):
        save(behind, tmp_path / "behind", to="peft")
    assert not list(tmp_path.iterdir())


def test_an_even_number_of_decoder_layers_is_expressed_when_tied(
    task: Task, tmp_path: Path
) -> None:
    model = load_model(tiny.save_encoder_decoder(tmp_path / "model", layers=2), device="cpu")
    free = _trained(model, task, method="prefix_tuning")
    with pytest.raises(PromptFormatError, match="even number of decoder layers"):
        save(free, tmp_path / "free", to="peft")
    tied = _trained(model, task, method="prefix_tuning", tie_layers=True)
    assert isinstance(tied, KVPrefix)
    (read,) = load(save(tied, tmp_path / "tied", to="peft"))
    assert isinstance(read, KVPrefix)
    np.testing.assert_array_equal(read.keys, tied.keys)
