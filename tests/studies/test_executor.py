"""Packs, keys, and never training anything twice, a kill included."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from probe.errors import TrainingError
from probe.jobs.plan import plan_study
from probe.models import load_model
from probe.studies.cache import ResultCache
from probe.studies.distilled import placed
from probe.studies.executor import Executor, sweep
from probe.studies.sources import keyed, task_of
from probe.studies.specs import Distilling, RunSpec, StudySettings, packs_of
from probe.task import Example, Task
from probe.training import TrainConfig, train
from tests.studies.conftest import SHARED
from tests.trainable import write_rows, write_task

ROOT = Path(__file__).parents[2]
PT = {"format": "pt"}


def _keys(runs, shared=SHARED):
    return [run.key for run in keyed(runs, shared)]


def test_a_key_says_what_the_result_depends_on(asked, model, task, tmp_path):
    first = asked[0]
    (key,) = _keys([first])
    safer = dataclasses.replace(first.config, checkpoint_every=7)
    assert _keys([dataclasses.replace(first, config=safer)]) == [key]
    assert _keys([first], dataclasses.replace(SHARED, device=None)) == [key]
    moved = write_task(tmp_path / "elsewhere" / "moods")
    assert _keys([dataclasses.replace(first, task=str(moved))]) == [key]
    other = dataclasses.replace(first.config, seed=9)
    changed = [
        dataclasses.replace(first, config=other),
        dataclasses.replace(first, fold=(0, 2)),
        dataclasses.replace(first, fold=(1, 2)),
    ]
    assert (
        len({key, *_keys(changed), *_keys([first], StudySettings(test_examples=3, device="cpu"))})
        == 5
    )


def test_other_examples_are_another_key(asked, tmp_path):
    folder = write_task(tmp_path / "moods")
    before = _keys([dataclasses.replace(asked[0], task=str(folder))])
    examples = task_of(asked[0], SHARED).train
    other = write_task(tmp_path / "again" / "moods")
    write_rows(other / "train.jsonl", examples[1:])
    assert _keys([dataclasses.replace(asked[0], task=str(other))]) != before


def test_rows_and_weights_that_changed_in_their_place_are_another_key(asked, model, tmp_path):
    folder, weights = write_task(tmp_path / "moods"), tmp_path / "model" / "model.safetensors"
    shutil.copytree(model, weights.parent)
    run = dataclasses.replace(asked[0], task=str(folder), model=str(weights.parent))
    keys = _keys([run])
    write_rows(folder / "train.jsonl", task_of(run, SHARED).train[1:])
    keys += _keys([run])
    save_file({name: one + 1 for name, one in load_file(weights).items()}, weights, PT)
    keys += _keys([run])
    assert len(set(keys)) == 3


def test_cells_that_a_template_reads_are_part_of_the_key(asked, tmp_path):
    def key(place, template):
        rows = [{"text": f"w{n}", "label": n % 2, "place": place} for n in range(8)]
        for split in ("train", "validation"):
            lines = "".join(f"{json.dumps(row)}\n" for row in rows)
            (folder / f"{split}.jsonl").write_text(lines)
        config = dataclasses.replace(asked[0].config, template=template)
        return _keys([dataclasses.replace(asked[0], task=str(folder), config=config)])

    folder = write_task(tmp_path / "moods")
    own, other = "{prompt:2}{text} it was", "{prompt:2}{text} {place} it was"
    assert key("day", own) == key("film", own)
    assert key("day", other) != key("film", other)


def test_prompts_distilled_on_a_task_of_texts_are_scored_without_the_teacher(model, tmp_path):
    (tmp_path / "task.toml").write_text('kind = "generation"\n')
    rows = [json.dumps({"text": f"w{n}", "target": "it was"}) for n in range(4)]
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(rows))
    distil = TrainConfig(
        steps=2, length=2, batch_size=2, eval_every=0, objective="distill", teacher="kind warm"
    )
    runs, kept = keyed([RunSpec(model, str(tmp_path), distil)], SHARED), ResultCache(tmp_path)
    sweep(runs, SHARED, kept)
    assert kept.get(runs[0].key).metrics["validation_loss_nats"] > 0


def test_shuffled_contexts_never_have_their_own_answer(model):
    frozen, texts = load_model(model, device="cpu"), [f"w{n}" for n in range(6)]
    task = Task("t", "generation", train=[Example(text, target=text) for text in texts])
    for seed in range(8):
        others = placed(frozen, task, Distilling("warm", seed, shuffled=True), 2).train
        assert all(one.text != one.target for one in others)
        assert sorted(str(one.target) for one in others) == texts


def test_packs_hold_what_fits_together_and_every_run_once(model, task):
    rows = [
        RunSpec(model, task, TrainConfig(steps=2, length=n, seed=s))
        for n in (9, 2)
        for s in (0, 1, 2)
    ]
    prefixes = [RunSpec(model, task, TrainConfig(steps=2, length=2, method="prefix_tuning"))]
    runs = keyed([*rows, *prefixes], SHARED)
    packs = packs_of(runs, SHARED, at_once=2)
    assert sorted(run.key for pack in packs for run in pack.runs) == sorted(run.key for run in runs)
    assert sorted(len(pack.runs) for pack in packs) == [1, 2, 2, 2]
    for pack in packs:
        assert len({run.spec.config.method for run in pack.runs}) == 1
    lengths = [[run.spec.config.length for run in pack.runs] for pack in packs]
    assert [2, 2] in lengths and [9, 9] in lengths


def test_packed_runs_end_as_alone_and_equal_requests_are_trained_once(asked, tmp_path):
    runs = keyed([*asked, *asked], SHARED)
    kept, seen = ResultCache(tmp_path), []
    sweep(runs, SHARED, kept, executor=Executor(at_once=4), watch=seen.append)
    assert seen[0].runs == 6 and seen[0].packs == 2 and seen[-1].done == 6
    scoring = [(one.done, one.pack) for one in seen if one.pack and one.pack.scoring]
    answers = {done: [(pack.step, pack.steps) for at, pack in scoring if at == done] for done, _ in
               scoring}  # fmt: skip
    assert sorted(told[-1] for told in answers.values()) == [(36, 36), (72, 72)]  # of 18 examples
    assert all(told == sorted(told) and told[0][0] == 0 for told in answers.values())
    assert seen[-2].eta_s is None  # all that is left is scoring
    frozen = load_model(asked[4].model, device="cpu")
    alone = train(frozen, task_of(asked[4], SHARED), asked[4].config)
    list(alone)
    found = kept.get(runs[4].key)
    np.testing.assert_allclose(found.embeddings, alone.prompts[0].embeddings, atol=1e-5)
    assert found.metrics["validation_examples"] == 8 and found.metrics["test_examples"] == 10
    assert found.metrics["stopped"] == "finished" and found.config["run_key"] == runs[4].key
    again = []
    sweep(runs, SHARED, kept, executor=Executor(at_once=4), watch=again.append)
    assert [progress.packs for progress in again] == [0] and again[0].found == 6


def test_a_damaged_result_is_trained_again(asked, tmp_path):
    runs, kept = keyed(asked[:1], SHARED), ResultCache(tmp_path)
    sweep(runs, SHARED, kept)
    path = kept.path(runs[0].key)
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    sweep(runs, SHARED, kept)
    assert np.array_equal(kept.get(runs[0].key).embeddings.shape, (2, 16))


CUT = {"steps": 40, "batch_size": 4, "eval_every": 0, "checkpoint_every": 5, "length": 2}


def _sweep_cut(model, task, folder):
    """Four runs in two packs; returns after every turn what is done, left and at which step."""
    runs = [RunSpec(model, task, TrainConfig(**CUT, seed=seed)) for seed in range(4)]
    seen = []

    def watch(progress):
        step = None if progress.pack is None else progress.pack.step
        seen.append((progress.done, progress.packs, step))
        print(*seen[-1], flush=True)  # noqa: T201 - read by who kills it

    sweep(
        keyed(runs, SHARED), SHARED, ResultCache(folder), executor=Executor(at_once=2), watch=watch
    )
    return seen


@pytest.mark.process
def test_after_a_kill_nothing_finished_is_repeated_and_the_rest_goes_on(model, task, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    program = (
        "import sys, pathlib; from tests.studies.test_executor import _sweep_cut; "
        "_sweep_cut(*sys.argv[1:3], pathlib.Path(sys.argv[3]))"
    )
    command = [sys.executable, "-c", program, model, task, str(cut)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        for line in process.stdout:  # in the second pack, past its second checkpoint
            if line.split()[0] == "2" and line.split()[2] == "12":
                break
        process.send_signal(signal.SIGKILL)
    finished = {path.name: path.stat().st_mtime_ns for path in cut.glob("*.safetensors")}
    assert len(finished) == 2
    begun, (*packs, step) = _sweep_cut(model, task, cut)[:2]
    assert begun == (2, 1, None) and packs == [2, 1]
    assert step > 10 and step % 5 == 1  # the one after a checkpoint: it ran on until it was killed
    config = TrainConfig(steps=40, batch_size=4, eval_every=0, length=2)
    configs = [dataclasses.replace(config, seed=seed) for seed in range(4)]
    runs = keyed([RunSpec(model, task, config) for config in configs], SHARED)
    sweep(runs, SHARED, ResultCache(whole), executor=Executor(at_once=2))
    assert len(list(whole.glob("*.safetensors"))) == len(list(cut.glob("*.safetensors"))) == 4
    for path in whole.glob("*.safetensors"):
        mine = ResultCache(cut).get(path.stem)
        assert np.array_equal(mine.embeddings, ResultCache(whole).get(path.stem).embeddings)
        assert finished.get(path.name, 0) in (0, (cut / path.name).stat().st_mtime_ns)
    assert not any((cut / "unfinished").iterdir())


def test_a_plan_counts_and_keeps_nothing(asked, tmp_path):
    runs, kept = keyed([*asked, asked[0]], SHARED), ResultCache(tmp_path)
    sweep(runs[:2], SHARED, kept)
    plan = plan_study(runs, SHARED, kept, at_once=3)
    assert (plan.runs, plan.trainings, plan.found, plan.packs) == (7, 6, 2, 2)
    assert plan.updates == 16 and plan.estimate_s == pytest.approx(16 * plan.update_s)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_a_plan_of_one_step_has_a_time_too(asked, tmp_path):
    short = [
        dataclasses.replace(one, config=dataclasses.replace(one.config, steps=1)) for one in asked
    ]
    plan = plan_study(keyed(short, SHARED), SHARED, ResultCache(tmp_path), at_once=3)
    assert plan.update_s > 0 and plan.estimate_s == pytest.approx(6 * plan.update_s)


def test_holdout_and_folds_decide_what_validates_where_a_task_has_no_split(asked, tmp_path):
    folder = write_task(tmp_path / "moods")
    (folder / "validation.jsonl").unlink()

    def sizes(fold=None, **training):
        config = dataclasses.replace(asked[0].config, **training)
        run = dataclasses.replace(asked[0], task=str(folder), config=config, fold=fold)
        task = task_of(run, dataclasses.replace(SHARED, validation_examples=99))
        return len(task.train), len(task.validation)

    assert (sizes(), sizes(holdout=0.5)) == ((21, 3), (12, 12))
    assert (sizes((0, 3)), sizes((0, 3), holdout=0.5)) == ((16, 8), (16, 8))
    runs = [
        dataclasses.replace(
            asked[0],
            task=str(folder),
            config=dataclasses.replace(asked[0].config, holdout=holdout),
        )
        for holdout in (0.1, 0.5)
    ]
    assert _keys(runs) == [*_keys(runs[:1]), *_keys(runs[1:])]
    with pytest.raises(TrainingError, match="moods has no validation examples, by which runs"):
        sizes(holdout=0.0)
