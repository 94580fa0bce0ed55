"""Trainings of others are watched: readings, faults, sinks and a run of the workspace."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments
from typer.testing import CliRunner

import probe
from probe.cli.main import app
from probe.errors import ProbeError, PromptFormatError, TrainingError
from probe.integrations import PromptWatch
from probe.integrations.faults import UNUSED, equal_logits, unmoved_metrics
from probe.prompt import SoftPrompt
from probe.store import Workspace
from tests.verbs.live_models import state_of

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing.*:FutureWarning", "ignore:.*pin_memory.*:UserWarning"
)
PROMPT = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)


class Texts(Dataset[dict[str, torch.Tensor]]):
    """Six tokens that are to be predicted."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        ids = torch.arange(6) + 6 + place
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}


@pytest.fixture
def tuned(model: str, home: Path) -> Any:
    torch.manual_seed(0)
    return get_peft_model(AutoModelForCausalLM.from_pretrained(model), PROMPT)


@pytest.fixture
def tokenizer(model: str) -> Any:
    return AutoTokenizer.from_pretrained(model)


def train(
    model: Any, tokenizer: Any, folder: Path, watch: PromptWatch | None, *, measured: Any = None,
    **more: Any,
) -> Any:  # fmt: skip
    settings: dict[str, Any] = {
        "max_steps": 6,
        "learning_rate": 0.1,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "per_device_train_batch_size": 4,
        "seed": 3,
    }
    trainer = Trainer(
        model,
        TrainingArguments(str(folder), **{**settings, **more}),
        train_dataset=Texts(),
        eval_dataset=Texts(),
        processing_class=tokenizer,
        callbacks=[watch] if watch else [],
        compute_metrics=measured,
    )
    trainer.train()
    return trainer


@pytest.mark.slow
def test_a_trainer_is_watched_and_its_run_opens_as_any_other(
    tuned: Any, tokenizer: Any, model: str, tmp_path: Path
) -> None:
    lines = tmp_path / "seen.jsonl"
    watch = PromptWatch(
        name="mine", task="moods", readings=["nearest", "displacement", "sparse"], sinks=lines
    )
    train(tuned, tokenizer, tmp_path, watch)
    first, *_, last = watch.observations
    assert [one.step for one in watch.observations] == [0, 2, 4, 6]
    assert (first.rows_at_start, first.distance, first.moved) == (3, 0, 0)
    assert "no row has moved" in first.readings["displacement"]
    assert last.rows_at_start == 0 and last.distance > 0 and last.off_manifold is not None
    assert last.metrics["eval_loss"] < watch.observations[1].metrics["eval_loss"]
    (kept,) = probe.load("mine")
    assert isinstance(kept, SoftPrompt)
    assert last.readings["nearest"] == probe.read(kept, model, readings="nearest").readings[0].text
    assert [json.loads(line)["step"] for line in lines.read_text().splitlines()] == [0, 2, 4, 6]
    (run,) = probe.runs()
    assert (run.kind, run.state, run.step, run.steps) == ("train", "finished", 6, 6)
    assert (run.task, run.method, run.prompts) == ("moods", "prompt_tuning", ("mine@1",))
    assert run.model == f"{model} in memory" and kept.base_model == model
    assert run.metrics["eval_loss"] == pytest.approx(last.metrics["eval_loss"])
    shown = CliRunner().invoke(app, ["runs", "show", run.run])
    assert shown.exit_code == 0 and "mine" in shown.output
    with pytest.raises(TrainingError, match="trained by another program"):
        probe.verbs.resume_run(run.run, steps=9)


def test_the_prompt_of_the_best_checkpoint_is_kept_where_the_trainer_has_loaded_it(
    tuned: Any, tokenizer: Any, tmp_path: Path
) -> None:
    watch, found = PromptWatch(name="best"), iter((0.9, 0.5, 0.4))
    train(
        tuned, tokenizer, tmp_path, watch, max_steps=5, save_strategy="steps", save_steps=2,
        load_best_model_at_end=True, metric_for_best_model="f1",
        measured=lambda _: {"recall": 0.3, "f1": next(found)},
    )  # fmt: skip
    (kept,) = probe.load("best")
    held = tuned.prompt_encoder["default"].embedding.weight.detach().numpy()
    at_two = watch.observations[1]
    assert np.array_equal(_rows("best"), held) and kept.metrics["step"] == at_two.step == 2
    assert kept.metrics["eval_loss"] == at_two.metrics["eval_loss"]
    (run,) = probe.runs()
    assert (run.step, run.steps, run.state) == (5, 5, "finished")
    assert run.message == "the prompt is that of step 2, the best checkpoint"
    assert run.validation is not None and run.validation["metric"] == "eval_f1"


@pytest.mark.slow
def test_a_watched_training_is_the_same_as_an_unwatched_one(
    model: str, tokenizer: Any, home: Path, tmp_path: Path
) -> None:
    found = []
    for watch in (None, PromptWatch()):
        torch.manual_seed(0)
        base = AutoModelForCausalLM.from_pretrained(model, attention_dropout=0.1)
        tuned = get_peft_model(base, PROMPT)
        train(tuned, tokenizer, tmp_path, watch)
        found.append((tuned.prompt_encoder["default"].embedding.weight, random.random()))
    assert torch.equal(found[0][0], found[1][0]) and found[0][1] == found[1][1]


def test_a_metric_that_stays_and_a_prompt_that_is_not_used_are_told(
    tuned: Any, tokenizer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = tuned.get_base_model()
    tuned.forward = lambda *given, **named: base(*given, **named)  # the prompt is left out
    tuned.prompt_encoder.requires_grad_(False)
    base.model.norm.weight.requires_grad_(True)
    watch = PromptWatch()
    train(tuned, tokenizer, tmp_path, watch, learning_rate=0.0)
    told = watch.observations[-1].warnings
    assert UNUSED in told
    assert any(line.startswith("eval_loss is ") and "has not moved" in line for line in told)
    assert caplog.text.count("the prompt is not used") == 1  # said once, written at each look
    (run,) = probe.runs()
    assert "the prompt is not used" in " ".join(run.notes)


def test_nothing_is_told_of_a_prompt_that_is_used_and_moves(
    tuned: Any, tokenizer: Any, tmp_path: Path
) -> None:
    watch = PromptWatch()
    train(tuned, tokenizer, tmp_path, watch, eval_on_start=True)
    assert not any(one.warnings for one in watch.observations)


def test_looking_leaves_the_model_as_it_is(tuned: Any, tokenizer: Any) -> None:
    tuned.train()
    before = state_of(tuned)
    watch = PromptWatch((tuned.get_base_model(), tokenizer))
    watch.step(tuned, step=0)
    assert state_of(tuned) == before
    watch.close()


def test_a_loop_of_ones_own_is_watched_row_by_row(model: str, home: Path) -> None:
    rows = torch.nn.Parameter(torch.from_numpy(probe.load_vocabulary(model).rows([7, 9])))
    logits = torch.randn(1, 4, 5)
    with PromptWatch(model, name="own", task="moods") as watch:
        watch.step(rows, step=0, metrics={"accuracy": 0.5})
        with torch.no_grad():
            rows[1] = torch.from_numpy(probe.load_vocabulary(model).rows([20]))[0]
        same = torch.cat([torch.zeros(1, 2, 5), logits], 1)
        seen = watch.step(
            rows, step=5, metrics={"accuracy": 0.5, "note": "x"}, logits=same, base_logits=logits
        )
        run = watch.run
    assert (seen.rows_at_start, seen.moved) == (1, 0.5)
    assert UNUSED in seen.warnings and "accuracy is 0.5 at step 5 as at step 0" in seen.warnings[1]
    assert probe.verbs.show_run(str(run)).validation == {
        "metric": "accuracy",
        "value": 0.5,
        "loss_nats": None,
        "examples": 0,
    }
    assert np.array_equal(_rows("own"), rows.detach().numpy())


def _rows(name: str) -> Any:
    (prompt,) = probe.load(name)
    assert isinstance(prompt, SoftPrompt)
    return prompt.embeddings


def test_a_loop_that_breaks_off_leaves_a_failed_run(model: str, home: Path) -> None:
    rows = torch.ones(2, 16)
    with pytest.raises(KeyError), PromptWatch(model) as watch:
        watch.step(rows, step=0)
        raise KeyError("labels")
    (run,) = probe.runs()
    assert (run.state, run.message) == ("failed", "KeyError: 'labels'")


def test_a_prompt_that_diverges_ends_nobodys_training(model: str, home: Path) -> None:
    rows = torch.ones(2, 16)
    with PromptWatch(model, name="lost") as watch:
        watch.step(rows, step=0)
        broken = watch.step(rows * float("nan"), step=1)
    assert "must be finite" in broken.warnings[0]
    assert np.array_equal(_rows("lost"), rows.numpy())


def test_a_prompt_that_cannot_be_kept_ends_nobodys_training(model: str, home: Path) -> None:
    with PromptWatch(model) as watch:
        for step in range(4):
            watch.step(torch.ones(2, 16), step=step, metrics={"eval_accuracy": 0.5})
        Workspace(home).prompts.root.write_text("in the way")
    (run,) = probe.runs(Workspace(home))
    assert run.state == "failed" and run.message.startswith("the prompt is not kept: ")
    (unmoved,) = (one for one in run.notes if "has not moved" in one)  # said once, not each time
    assert "at step 1 as at step 0" in unmoved


def test_a_model_whose_parts_several_processes_hold_is_not_run_by_one(
    tuned: Any, tokenizer: Any, tmp_path: Path
) -> None:
    seen: list[Any] = []
    tuned.register_forward_hook(lambda *_: seen.append(None))
    for parameter in tuned.parameters():
        parameter.ds_id = 0  # as ZeRO-3 marks them
    train(tuned, tokenizer, tmp_path, PromptWatch(), max_steps=1, eval_strategy="no")
    assert len(seen) == 1  # the training's own


def test_an_evaluation_that_is_no_number_ends_nobodys_training(model: str, home: Path) -> None:
    rows, metrics = torch.ones(2, 16), {"eval_loss": float("nan"), "eval_accuracy": 0.5}
    with PromptWatch(model, name="odd", sinks=[home / "seen.jsonl"]) as watch:
        watch.step(rows, step=0)
        watch.step(rows + 1, step=1, metrics=metrics)
    (run,) = probe.runs(Workspace(home))
    assert run.state == "finished" and run.metrics["eval_loss"] is None
    assert run.validation is not None and run.validation["loss_nats"] is None
    last = (home / "seen.jsonl").read_text().splitlines()[-1]
    assert json.loads(last, parse_constant=str)["metrics"]["eval_loss"] is None


@pytest.mark.slow
def test_a_trainer_that_broke_off_left_a_failed_run_and_may_begin_again(
    tuned: Any, tokenizer: Any, tmp_path: Path
) -> None:
    class Breaking(PromptWatch):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if not broken:
                broken.append(state.global_step)
                raise KeyboardInterrupt

    broken: list[int] = []
    watch = Breaking()
    with pytest.raises(KeyboardInterrupt):
        train(tuned, tokenizer, tmp_path, watch, max_steps=2)
    train(tuned, tokenizer, tmp_path, watch, max_steps=2)
    assert sorted(run.state for run in probe.runs()) == ["failed", "finished"]
    assert [one.step for one in watch.observations] == [0, 2]


def test_a_prefix_is_watched_by_its_norms(
    model: str, tokenizer: Any, home: Path, tmp_path: Path
) -> None:
    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(model),
        PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    )
    watch = PromptWatch()
    train(tuned, tokenizer, tmp_path, watch, max_steps=2)
    last = watch.observations[-1]
    assert last.distance > 0 and last.moved is None and last.norm > 0
    assert probe.runs()[0].method == "prefix_tuning"


def test_whoever_asks_a_watched_run_to_end_is_heard(
    tuned: Any, tokenizer: Any, tmp_path: Path
) -> None:
    class Impatient(PromptWatch):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 3:
                Workspace().jobs.get(str(self.run)).stop.touch()

    train(tuned, tokenizer, tmp_path, Impatient(name="short"))
    (run,) = probe.runs()
    assert (run.state, run.step, run.message) == ("finished", 4, "stopped when it was asked to")


@pytest.mark.slow
def test_what_cannot_be_watched_is_refused_in_one_line(
    model: str, tokenizer: Any, home: Path, tmp_path: Path
) -> None:
    base = AutoModelForCausalLM.from_pretrained(model)
    with pytest.raises(ProbeError, match="has a LlamaForCausalLM: wrap it with get_peft_model"):
        train(base, tokenizer, tmp_path, PromptWatch())
    lora = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"]))
    with pytest.raises(PromptFormatError, match="found LORA"):
        train(lora, tokenizer, tmp_path, PromptWatch())
    with pytest.raises(ProbeError, match="expected a sink of tensorboard, .*; did you mean wandb"):
        PromptWatch(sinks="wanbd")
    with pytest.raises(ValueError, match="readings that run no model"):
        PromptWatch(readings=["promoted"])
    with pytest.raises(PromptFormatError, match="width 4, the table of .* has width 16"):
        PromptWatch(model).step(torch.ones(2, 4), step=0)
    assert not probe.runs()


def test_a_metric_is_unmoved_only_if_every_evaluation_says_the_same() -> None:
    def told(*values: float, name: str = "accuracy") -> list[str]:
        return list(unmoved_metrics([(step, {name: one}) for step, one in enumerate(values)]))

    assert told(0.5) == [] and told(0.5, 0.6, 0.5) == [] and told(1.0, 1.0) == []
    assert told(0.5, 0.5, name="eval_runtime") == [] and told(2, 2, name="epoch") == []
    assert "0.5 at step 2 as at step 0" in told(0.5, 0.5, 0.5)[0]
    assert "loss is 1" in told(1.0, 1.0, name="eval_loss")[0]
    two_sets = [(step, {f"eval_{name}_accuracy": 0.5}) for step in (2, 4) for name in "ab"]
    assert "eval_b_accuracy is 0.5 at step 4 as at step 2" in next(iter(unmoved_metrics(two_sets)))
    assert list(unmoved_metrics(two_sets[:2])) == []


def test_logits_are_compared_where_the_text_stands() -> None:
    alone = torch.randn(2, 4, 5)
    assert equal_logits(alone, alone)
    assert equal_logits(torch.cat([torch.randn(2, 3, 5), alone], 1).numpy(), alone)
    assert not equal_logits(torch.cat([alone, torch.randn(2, 3, 5)], 1), alone)
