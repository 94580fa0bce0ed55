"""What a sweep adds to its training steps, and what two Ray workers bring over one.

Short runs on the built-in model, one thread each. Overhead: the whole sweep, loading and keys
excepted, against the same packs' bare training steps and against steps with scores; processor time.
Workers: the same packs on a Ray cluster of one core and of two; wall time, after a warm-up pack per
worker, so that starting Python and torch does not count.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from report import publish, table

from probe.evaluation import Condition, answer
from probe.studies.cache import ResultCache
from probe.studies.executor import Executor, sweep
from probe.studies.sources import keyed, model_of, task_of
from probe.studies.specs import KeyedRun, RunSpec, StudySettings, packs_of
from probe.training import TrainConfig, train

_PARTS = ("overhead", "ray")
SHARED = StudySettings(validation_examples=50, test_examples=50, device="cpu", dtype="float32")


def main() -> None:
    """Measure the parts asked for and publish each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    asked = [_asked(number, args.steps) for number in range(args.runs)]
    runs = keyed(asked, SHARED)
    measures = {"overhead": _overhead, "ray": _workers}
    note = f"{args.runs} runs of {args.steps} steps, {args.at_once} at once, task mood, P = 10."
    for part in args.parts:
        rows = measures[part](runs, args.at_once)
        publish(
            "sweeps",
            "What a sweep costs",
            f"{table(('measured', 's', 'ratio'), rows)}\n\n{note}",
            "torch",
            "ray",
            write=args.write,
            part=part,
        )


def _asked(seed: int, steps: int) -> RunSpec:
    config = TrainConfig(steps=steps, length=10, seed=seed, eval_every=0)
    return RunSpec("builtin", "mood", config)


def _overhead(runs: Sequence[KeyedRun], at_once: int) -> list[tuple[str, str, str]]:
    steps = scores = 0.0
    model = model_of("builtin", "cpu", "float32")
    for pack in packs_of(runs, SHARED, at_once=at_once):
        task = task_of(pack.runs[0].spec, SHARED)
        training = train(model, task, [run.spec.config for run in pack.runs])
        began = time.process_time()
        for _ in training:
            pass
        steps += time.process_time() - began
        conditions = [Condition(str(n), task, prompt) for n, prompt in enumerate(training.prompts)]
        began = time.process_time()
        for examples in (task.validation, task.test):
            answer(model, conditions, examples)
        scores += time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        sweep(runs, SHARED, ResultCache(Path(folder)), executor=Executor(at_once))
        whole = time.process_time() - began
    return [
        ("training steps alone", f"{steps:.1f}", "1.00"),
        ("scores alone", f"{scores:.1f}", f"{scores / steps:.2f}"),
        ("the sweep, scores included", f"{whole:.1f}", f"{whole / steps:.2f}"),
        ("the sweep without scores", f"{whole - scores:.1f}", f"{(whole - scores) / steps:.2f}"),
    ]


def _workers(runs: Sequence[KeyedRun], at_once: int) -> list[tuple[str, str, str]]:
    one, two = (_on_ray(runs, at_once, workers) for workers in (1, 2))
    return [
        ("Ray, one worker of one thread", f"{one:.1f}", "1.00"),
        ("Ray, two workers", f"{two:.1f}", f"{one / two:.2f} times as fast"),
    ]


def _on_ray(runs: Sequence[KeyedRun], at_once: int, workers: int) -> float:
    import ray

    ray.init(address="local", num_cpus=workers, log_to_driver=False, include_dashboard=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            warm = keyed([_asked(1000 + n, 20) for n in range(2 * workers)], SHARED)
            sweep(
                warm, SHARED, ResultCache(Path(folder)), executor=Executor(ray="local", at_once=1)
            )
            began = time.perf_counter()
            kept = ResultCache(Path(folder) / "measured")
            sweep(runs, SHARED, kept, executor=Executor(at_once, ray="local"))
            return time.perf_counter() - began
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
