"""Models and tasks of a sweep: loaded once in each process, and known by their content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from functools import lru_cache

from probe import formats
from probe.datasets import load_task, sample
from probe.distillation import default_contexts
from probe.errors import TrainingError
from probe.live import LiveModel
from probe.models import FrozenModel, load_model
from probe.models.loading import fast_dtype, on_cpu
from probe.models.rows import special_ids
from probe.requests.train_config import DEFAULT_LENGTH
from probe.studies.distilled import answered_task, placed
from probe.studies.specs import Distilling, KeyedRun, RunSpec, StudySettings
from probe.tables.gguf_files import find_gguf
from probe.tables.named import Stamp, place_of, stamp_of
from probe.task import Task, columns_of
from probe.training import folds

VERSION = 1
"""Raised whenever the same request starts to give another result."""
_OTHERS_ANSWERS = " each another's"
"""Part of the key of shuffled answers: in earlier results some contexts had their own."""
_ADDED = ("teacher",)
"""Fields of `TrainConfig` younger than results that are kept: no part of a key where they are None,
so that these are found again."""


def load_frozen(name: str | LiveModel, *, device: str | None, dtype: str | None) -> FrozenModel:
    """A model to train on; where nothing is said of the precision, bf16 where it is fast.

    On a CPU that goes for GGUF files alone, whose numbers were rounded to fewer bits before; other
    models run in float32 unless bf16 is asked for.

    Raises:
        ModelNotFoundError: it cannot be loaded.
    """
    if isinstance(name, LiveModel):
        return load_model(name, device=device, dtype=dtype)
    if dtype is None and (not on_cpu(device) or find_gguf(name, place_of(name)) is not None):
        dtype = fast_dtype(device)
    return load_model(name, device=device, dtype=dtype)


def model_of(name: str, device: str | None, dtype: str | None) -> FrozenModel:
    """The frozen model; a process works at one at a time.

    Raises:
        ModelNotFoundError: it cannot be loaded.
    """
    return _loaded(name, device, dtype, stamp_of(name))


@lru_cache(maxsize=1)
def _loaded(name: str, device: str | None, dtype: str | None, _: Stamp) -> FrozenModel:
    return load_frozen(name, device=device, dtype=dtype)


def task_of(spec: RunSpec, shared: StudySettings) -> Task:
    """The task with the sampled validation and test examples, the fold of it, or what is distilled.

    Raises:
        DataError: it cannot be read.
        TrainingError: there are more folds than examples, or no validation examples.
    """
    if spec.distilling is not None:
        return _distilled(spec, spec.distilling, shared)
    if spec.fold is not None:
        number, count = spec.fold
        return _folds(spec.task, shared, count)[number]
    whole = _sampled(spec.task, shared, spec.config.holdout)
    if not whole.validation:
        raise TrainingError(
            f"task {whole.name} has no validation examples, by which runs are compared: give it "
            "some, or set holdout above 0"
        )
    return whole


def _distilled(spec: RunSpec, asked: Distilling, shared: StudySettings) -> Task:
    model = model_of(spec.model, shared.device, shared.dtype)
    unshuffled = dataclasses.replace(asked, shuffled=False)
    stamp = stamp_of(spec.model)
    task = _answered(spec.model, shared.device, shared.dtype, stamp, unshuffled)
    return placed(model, task, asked, spec.config.length or DEFAULT_LENGTH)


@lru_cache(maxsize=1024)
def _answered(
    name: str, device: str | None, dtype: str | None, stamp: Stamp, asked: Distilling
) -> Task:
    """The teacher's answers: every condition of a study trains on the same ones."""
    return answered_task(_loaded(name, device, dtype, stamp), asked)


@lru_cache(maxsize=8)
def _sampled(name: str, shared: StudySettings, holdout: float) -> Task:
    task = load_task(name, shared.data_dir, holdout=holdout)
    return dataclasses.replace(
        task,
        validation=sample(task.validation, shared.validation_examples),
        test=sample(task.test, shared.test_examples),
    )


@lru_cache(maxsize=8)
def _folds(name: str, shared: StudySettings, count: int) -> tuple[Task, ...]:
    whole, size = _sampled(name, shared, 0.0), shared.validation_examples
    return tuple(
        dataclasses.replace(part, name=whole.name, validation=sample(part.validation, size))
        for part in folds(whole, count)
    )


def fingerprint_of(name: str, device: str | None, dtype: str | None) -> str:
    """Weights and precision: what a run's result depends on, and its device does not."""
    return _fingerprint(name, device, dtype, stamp_of(name))


@lru_cache(maxsize=8)
def _fingerprint(name: str, device: str | None, dtype: str | None, stamp: Stamp) -> str:
    model = _loaded(name, device, dtype, stamp)
    factor = model.scale.factor  # runs kept before rows were multiplied have other text scores
    multiplied = "" if math.isclose(factor, 1, rel_tol=1e-3) else f" rows times {factor:.4g}"
    return f"{model.fingerprint} {model.model.dtype}{multiplied}"


def task_digest(task: Task, template: str | None = None) -> str:
    """sha256 over the wording and every example.

    Args:
        task: with its examples.
        template: the one it is trained with, where that is another than its own.
    """
    digest = hashlib.sha256(
        repr((task.kind, task.template, tuple(task.words), task.metric)).encode()
    )
    others = _beside_the_text(task, template)
    for examples in (task.train, task.validation, task.test):
        digest.update(b"split")
        for one in examples:
            parts: tuple[object, ...] = (one.text, one.label, one.target)
            parts += tuple(one.values.get(name) for name in others)
            digest.update(repr(parts).encode("utf-8", "replace"))
    return digest.hexdigest()


def _beside_the_text(task: Task, template: str | None) -> list[str]:
    """Columns that are read and that `Example.text` does not hold, in order."""
    held = {"text"} if "text" in task.columns else set(task.columns)
    return sorted({*task.columns, *columns_of(template or "")} - held)


def keyed(runs: Sequence[RunSpec], shared: StudySettings) -> list[KeyedRun]:
    """Runs with their keys: equal keys, equal results.

    A key is the sha256 of the configuration, the examples and wording of the task, or the text and
    contexts that are distilled, the model's weights and precision, and the version of this module.

    Raises:
        ProbeError: a model or task cannot be loaded.
    """
    _sampled.cache_clear()  # rows may have been changed since the last study of this process
    _folds.cache_clear()
    digests: dict[tuple[object, ...], str] = {}
    found: dict[int, KeyedRun] = {}
    # Model by model: a process keeps one.
    for place in sorted(range(len(runs)), key=lambda i: runs[i].model):
        run = runs[place]
        asked, template = run.distilling, run.config.template
        part = (run.task, run.fold, run.config.holdout, asked, template)
        if part not in digests:
            digests[part] = (
                task_digest(task_of(run, shared), template) if asked is None else _digest(asked)
            )
        weights = fingerprint_of(run.model, shared.device, shared.dtype)
        scored = _scored_otherwise(run, shared)
        found[place] = KeyedRun(run, _key(run, weights, digests[part], scored))
    return [found[place] for place in range(len(runs))]


def _digest(asked: Distilling) -> str:
    """sha256 of what answers are drawn from; that takes long, so they are not drawn for it."""
    contexts = asked.contexts or tuple(default_contexts())
    whole = repr(dataclasses.astuple(dataclasses.replace(asked, contexts=contexts)))
    whole += _OTHERS_ANSWERS * asked.shuffled
    return hashlib.sha256(whole.encode()).hexdigest()


def _scored_otherwise(run: RunSpec, shared: StudySettings) -> str:
    """What earlier results of such a run were not: part of its key, where it makes a difference."""
    objective = run.config.objective
    if objective == "distill" and run.distilling is None:
        return "without the teacher"
    model = model_of(run.model, shared.device, shared.dtype) if objective == "paper" else None
    return "BOS where no prompt stands" if model and special_ids(model.tokenizer)[0] else ""


def _key(run: RunSpec, weights: str, data: str, scored: str) -> str:
    config = run.config.to_dict()
    del config["checkpoint_every"]  # how a run is made safe does not change what it makes
    config = {key: value for key, value in config.items() if value is not None or key not in _ADDED}
    kind, _, source = run.config.init.partition(":")
    if kind == "prompt":
        prompts = formats.load(source)
        config["init"] = [one.provenance and one.provenance.sha256 for one in prompts]
        config["init"] += [source.rpartition("#")[2]] * ("#" in source)  # one of several in a file
    document = {"version": VERSION, "model": weights, "data": data, "config": config}
    document |= {"scored": scored} if scored else {}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]
