"""A run that is killed again and again: `python -m tests.training.killed_run MODEL OUT KILLS SEED`.

This process only imports and loads; every attempt is a fork of it, because starting Python and
torch a hundred times would take minutes. For each kind of run it leaves OUT/KIND/whole (never
killed) and OUT/KIND/killed, and prints the step of the last checkpoint after each kill as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil
import torch

from probe.formats import save
from probe.models import FrozenModel, load_model
from probe.task import Task
from probe.training import TrainConfig, train
from probe.training.checkpoint import checkpoint_folders
from tests import tiny

STEPS = 120
COMMON = {"steps": STEPS, "checkpoint_every": 2, "eval_every": 30, "eval_examples": 8, "length": 4}
KINDS = {
    "rows": [
        TrainConfig(**COMMON, seed=1, dropout=0.2, target="the film was w3", gamma=0.1),
        TrainConfig(**COMMON, seed=2, optimiser="adafactor", learning_rate=0.1, schedule="cosine"),
        TrainConfig(**COMMON | {"steps": 90}, seed=5, init="random", patience=1),
        TrainConfig(**COMMON, method="p_tuning", encoder="lstm", weight_decay=0.01),
        TrainConfig(**COMMON, method="p_tuning", encoder="mlp", init="random", warmup_steps=20),
        TrainConfig(**COMMON, method="pez", seed=3),
    ],
    "prefixes": [
        TrainConfig(**COMMON, method="prefix_tuning", seed=4, dropout=0.1),
        TrainConfig(**COMMON, method="prefix_tuning", projection=True, init="random"),
    ],
}


def run(model: FrozenModel, task: Task, kind: str, folder: Path) -> None:
    """Train from the last checkpoint to the end, and write what came out."""
    training = train(model, task, KINDS[kind], run_folder=folder, resume=True)
    for _ in training:
        pass
    for number, prompt in enumerate(training.prompts):
        if not (file := folder / f"{number}.safetensors").exists():
            save(prompt, file, to="safetensors")


def child(model: FrozenModel, task: Task, kind: str, folder: Path) -> int:
    if pid := os.fork():
        return pid
    try:
        run(model, task, kind, folder)
    except BaseException:  # a fork must never go on as its parent
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def finish(pid: int) -> float:
    """Wait for an attempt to end by itself; the processor time it took, in seconds."""
    _, status, used = os.wait4(pid, 0)
    assert status == 0, "an attempt failed by itself"
    return used.ru_utime + used.ru_stime


def kill_after(pid: int, seconds: float) -> bool:
    """Kill an attempt once it has used so much processor time; False where it ended before."""
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        used = psutil.Process(pid).cpu_times()
        if used.user + used.system >= seconds:
            os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1] == signal.SIGKILL
        time.sleep(random.uniform(0, 0.005))
    return False


def last_step(folder: Path) -> int:
    folders = checkpoint_folders(folder)
    return max((int(path.name.removeprefix("step-")) for path in folders), default=0)


def killed(model: FrozenModel, task: Task, kind: str, out: Path, kills: int) -> list[int]:
    """Kill attempts at random moments until `kills` are dead; then let one finish.

    Moments are drawn in processor time, so that a busy machine does not change what they hit:
    most of the start-up, and about as many steps as bring the run two thirds of its way. A run that
    ends before its last kill starts anew, its kills uncounted, and is killed sooner.
    """
    whole_s = finish(child(model, task, kind, out / "whole"))
    start_s = finish(child(model, task, kind, out / "whole"))  # finished: it only starts
    latest_s = start_s + 2 * (whole_s - start_s) / kills
    steps: list[int] = []
    while len(steps) < kills:
        attempt = child(model, task, kind, out / "killed")
        if kill_after(attempt, random.uniform(start_s / 2, latest_s)):
            steps.append(last_step(out / "killed"))
        else:
            shutil.rmtree(out / "killed")
            steps.clear()
            latest_s = (start_s + latest_s) / 2
    finish(child(model, task, kind, out / "killed"))
    return steps


def main() -> None:
    model_folder, out, kills, seed = sys.argv[1:]
    torch.set_num_threads(1)  # threads would not survive the fork
    random.seed(int(seed))
    model, task = load_model(model_folder, device="cpu"), tiny.task(48, validation=8)
    gc.freeze()  # a fork that looks through all of torch copies it
    found = {}
    for kind in KINDS:
        (Path(out) / kind).mkdir(parents=True)
        found[kind] = killed(model, task, kind, Path(out) / kind, int(kills))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
