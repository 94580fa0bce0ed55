"""What the trainer is measured against: PEFT in a plain loop, and under `transformers.Trainer`."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch
from peft import PromptTuningConfig, get_peft_model
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from transformers import Trainer, TrainerCallback, TrainingArguments

from probe.models import FrozenModel, Row
from probe.models.sentence_encoder import SCALE

Batch = dict[str, Tensor]


def peft_model(raw: Any, start: Tensor, model: FrozenModel, rows: Sequence[Row]) -> nn.Module:
    """PEFT prompt tuning from rows [P, H], with a head where the model is a sentence encoder.

    Args:
        raw: the transformers model, untouched by `probe`.
        start: rows the prompt starts from.
        model: the same weights as `probe` runs them; embeds the label texts.
        rows: any rows of the task.
    """
    causal = model.family == "causal"
    config = PromptTuningConfig(
        task_type="CAUSAL_LM" if causal else "FEATURE_EXTRACTION",
        num_virtual_tokens=len(start),
        prompt_tuning_init="RANDOM",
    )
    tuned: nn.Module = get_peft_model(raw, config)
    with torch.no_grad():
        prompt_rows(tuned).copy_(start)
    if causal:
        return tuned
    with torch.no_grad():
        labels = [Row(ids, rows[0].options, 0) for ids in rows[0].options]
        embeddings = model.embeddings(None, labels)  # type: ignore[attr-defined]
    return CosineHead(tuned, embeddings)


def prompt_rows(module: nn.Module) -> nn.Parameter:
    """The parameter [P, H] that PEFT trains."""
    (rows,) = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return rows


class CosineHead(nn.Module):
    """Mean over text positions and scaled cosines to label embeddings, as `SentenceEncoder` has.

    PEFT puts the prompt in front of the first special token, `probe` behind it.
    """

    label_embeddings: Tensor

    def __init__(self, encoder: Any, labels: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("label_embeddings", labels.clone())

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Any]:
        """The loss in nats."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        states = states[:, -input_ids.shape[1] :].float()
        weights = attention_mask[..., None].float()
        texts = normalize((states * weights).sum(1) / weights.sum(1), dim=-1)
        return {"loss": cross_entropy(SCALE * texts @ self.label_embeddings.T, labels)}


def raw_copy(model: Any) -> Any:
    """A transformers model of its own, whose dropout is off as in the frozen one."""
    raw = copy.deepcopy(model)
    for module in raw.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return raw


def encoded(row: Row, family: str) -> dict[str, Any]:
    """One example as a data set of the library has it."""
    right = row.options[row.label or 0]
    if family != "causal":
        return {"input_ids": list(row.prefix_ids), "labels": row.label}
    labels = [-100] * len(row.prefix_ids) + list(right)
    return {"input_ids": [*row.prefix_ids, *right], "labels": labels}


def collated(examples: Sequence[dict[str, Any]]) -> Batch:
    """A batch padded on the right."""
    longest = max(len(example["input_ids"]) for example in examples)

    def padded(values: list[int], filler: int) -> list[int]:
        return values + [filler] * (longest - len(values))

    ids = [padded(example["input_ids"], 0) for example in examples]
    mask = [padded([1] * len(example["input_ids"]), 0) for example in examples]
    given = [example["labels"] for example in examples]
    labels = [padded(one, -100) if isinstance(one, list) else one for one in given]
    return {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(mask),
        "labels": torch.tensor(labels),
    }


class PlainLoop:
    """The shortest loop around a PEFT model: forward, backward, clip, AdamW."""

    def __init__(self, module: nn.Module, rate: float, *, bf16: bool = False) -> None:
        self.module, self.rows, self.bf16 = module.train(), prompt_rows(module), bf16
        self.optimiser = torch.optim.AdamW([self.rows], lr=rate, weight_decay=0.0)

    def step(self, batch: Batch) -> float:
        """One update; the loss before it, in nats."""
        device = self.rows.device
        batch = {name: values.to(device) for name, values in batch.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            loss: Tensor = self.module(**batch)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([self.rows], 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return float(loss.detach())


class AfterStep(TrainerCallback):
    """Hands every step of the Trainer to a watcher, who says whether to go on."""

    def __init__(self, before: Callable[[], None], after: Callable[[], bool]) -> None:
        self.before, self.after = before, after

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called before the forward pass."""
        self.before()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Called after the update."""
        control.should_training_stop = not self.after()


def run_trainer(
    module: nn.Module,
    examples: Sequence[dict[str, Any]],
    *,
    rate: float,
    steps: int,
    order: str,
    seed: int,
    bf16: bool,
    batch_size: int,
    watch: TrainerCallback,
) -> None:
    """`transformers.Trainer` at a constant rate, without saving or evaluating.

    Args:
        module: a PEFT model whose forward gives a loss.
        examples: the training set.
        rate: learning rate of AdamW.
        steps: updates.
        order: `sequential`, or `group_by_length`, which wastes less on padding.
        seed: of the order.
        bf16: autocast.
        batch_size: examples per update.
        watch: sees every step.
    """
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            learning_rate=rate,
            max_steps=steps,
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=1.0,
            per_device_train_batch_size=batch_size,
            train_sampling_strategy=order,
            seed=seed,
            bf16=bf16,
            remove_unused_columns=False,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
        )
        Trainer(
            module,
            arguments,
            train_dataset=list(examples),
            data_collator=collated,
            callbacks=[watch],
        ).train()
