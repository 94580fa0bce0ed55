"""A trained prompt leaves its encoder behind, and PEFT reads it as we do."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from probe.errors import PromptFormatError
from probe.formats import load, save
from probe.models import FrozenModel, Injection, Row, load_model, prepare
from probe.prompt import AnyPrompt, KVPrefix, SoftPrompt
from probe.task import Task
from probe.training import TrainConfig, train
from tests import tiny

METHODS = [
    {"method": "prompt_tuning"},
    {"method": "p_tuning", "encoder": "lstm", "init": "random"},
    {"method": "p_tuning", "encoder": "mlp", "init": "random"},
    {"method": "prefix_tuning", "projection": True},
]
NAMES = ["prompt_tuning", "p_tuning-lstm", "p_tuning-mlp", "prefix_tuning"]
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
@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_peft_gives_the_same_logits(
    folder: Callable[[Path], Path], method: dict[str, object], task: Task, tmp_path: Path
) -> None:
    """Of the whole vocabulary at every position, and so the likelihoods of the label words."""
    source = folder(tmp_path / "model")
    model = load_model(source, device="cpu")
    prompt = _trained(model, task, **method)
    adapter = save(prompt, tmp_path / "adapter", to="peft")
    rows = prepare(model, task, task.validation[:6], prompt_length=4)
    injection = model.injection_of([prompt])
    ours = model.label_scores(injection, rows).detach()

    causal = model.family == "causal"
    automatic = AutoModelForCausalLM if causal else AutoModelForSeq2SeqLM
    theirs = PeftModel.from_pretrained(automatic.from_pretrained(source), adapter).eval()
    for row, expected in zip(rows, ours, strict=True):
        found = [_likelihood(theirs, row.prefix_ids, option, causal) for option in row.options]
        torch.testing.assert_close(torch.stack(found), expected, atol=1e-5, rtol=0)
    for row in rows:
        whole = _all_scored(row, causal)
        logits = _peft_logits(theirs, whole.prefix_ids, whole.options[0], causal)
        torch.testing.assert_close(_logits(model, injection, whole), logits, atol=1e-5, rtol=0)


def _all_scored(row: Row, causal: bool) -> Row:
    """A row of which every token but the first is asked for; the text is also the target."""
    if causal:
        return replace(
            row, prefix_ids=row.prefix_ids[:1], options=((*row.prefix_ids[1:], *row.options[0]),)
        )
    return replace(row, options=(row.prefix_ids,))


@torch.no_grad()
def _logits(model: FrozenModel, injection: Injection, row: Row) -> torch.Tensor:
    """What leaves our model's head where a row's option is asked for, [T, V]."""
    found: list[torch.Tensor] = []
    head = model.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda _, __, logits: found.append(logits.flatten(0, -2)))
    model.label_scores(injection, [row])
    handle.remove()
    (logits,) = found
    return logits


@torch.no_grad()
def _peft_logits(
    model: PeftModel, before: Sequence[int], option: Sequence[int], causal: bool
) -> torch.Tensor:
    """PEFT's logits where an option is asked for, its own tokens fed back, [T, V]."""
    ids = torch.tensor([[*before, *option[:-1]] if causal else before])
    fed = {} if causal else {"decoder_input_ids": torch.tensor([[0, *option[:-1]]])}
    logits: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), **fed).logits
    return logits[0, -len(option) :]


def _likelihood(
    model: PeftModel, before: Sequence[int], option: Sequence[int], causal: bool
) -> torch.Tensor:
    """Log-likelihood in nats of an option."""
    likelihoods = _peft_logits(model, before, option, causal).log_softmax(-1)
    return likelihoods.gather(1, torch.tensor(option)[:, None]).sum()


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
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
