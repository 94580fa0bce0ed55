"""Names, devices, models, tasks and paths are checked before torch is imported or a run is made."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_RUN = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from probe.cli.main import run

answers = []
for line in json.load(sys.stdin):
    told = io.StringIO()
    with redirect_stderr(told), redirect_stdout(told):
        try:
            run(line)
            code = 0
        except SystemExit as end:
            code = end.code
    answers.append([code, told.getvalue(), sorted({"torch", "transformers"} & set(sys.modules))])
print(json.dumps(answers))
"""
_MOOD = ("--task", "mood")
_BUILTIN = (*_MOOD, "--model", "builtin")
_LONG = "so " * 1100
_OUT = ("-o", "never-written.html")

MISTAKES = {
    ("predict", "sst2-txt", "--text", "x"): "did you mean sst2-text",
    ("predict", "sst2-text", "--text", "x", "--model", "builtn"): "did you mean builtin?",
    ("predict", "sst2-text", "--text", "x", "--task", "mod"): "did you mean mood?",
    ("predict", "sst2-text", "--text", "x", "--device", "gpu"): "choose cpu, cuda",
    ("predict", "org/absent", "--text", "x"): "HF_HUB_OFFLINE is set",
    ("predict", "sst2-text", "--text", "x", "--model", "org/absent"): "HF_HUB_OFFLINE is set",
    ("generate", "sst2-txt", "--text", "x"): "did you mean sst2-text",
    ("generate", "sst2-text", "--text", "x", "--model", "minilm"): "minilm is an encoder",
    ("evaluate", "sst2-txt", *_MOOD): "did you mean sst2-text",
    ("evaluate", "sst2-text", "--task", "mod"): "did you mean mood?",
    ("evaluate", "sst2-text", *_MOOD, "--model", "builtn"): "did you mean builtin?",
    ("evaluate", "sst2-text", *_MOOD, "--device", "gpu"): "choose cpu, cuda",
    ("evaluate", "--task", "shorten", "--zero-shot", "--model", "minilm"): "minilm is an encoder",
    ("train", "--task", "mod"): "did you mean mood?",
    ("train", *_MOOD, "--model", "builtn"): "did you mean builtin?",
    ("train", *_MOOD, "--model", "builtn", "--dry-run"): "did you mean builtin?",
    ("train", *_MOOD, "--device", "gpu"): "choose cpu, cuda",
    (
        "train",
        *_MOOD,
        "--model",
        "builtin",
        "--length",
        "100000",
    ): "expected a prompt of fewer than 1,024 virtual tokens",
    ("train", *_MOOD, "--template", "Good?"): "the template needs {text} once",
    ("train", *_MOOD, "--template", "{text} good?"): "as {prompt:3}",
    ("train", *_MOOD, "--template", "{prompt:2}{text}{label}{label}"): "takes {label} at most once",
    ("train", *_MOOD, "--template", "{prompt:2}{text}", "--length", "3"): "length 3, template 2",
    ("train", *_MOOD, "--init", "labls"): "did you mean labels?",
    ("train", *_MOOD, "--init", "prompt:sst2-txt"): "did you mean sst2-text",
    ("train", *_MOOD, "--init", "prompt:sst2-text", "--length", "3"): "length 3, prompt sst2-text",
    ("train", *_MOOD, "--init", "prompt:subj-prefix"): "choose prefix_tuning",
    ("wayward", *_MOOD, "--init", "prompt:sst2-txt"): "did you mean sst2-text",
    ("train", *_MOOD, "--template", "{prompt:2}{txt}"): "did you mean text?",
    ("train", "--task", "shorten", "--model", "minilm"): "an encoder cannot write",
    ("train", *_BUILTIN, "--template", f"{{prompt:2}}{_LONG}{{text}}"): "its longest label need",
    ("train", *_BUILTIN, "--label-word", "good", "--label-word", _LONG): "its longest label need",
    ("train", *_BUILTIN, "--template", "{prompt:2}{label} {text}"): "nothing stands before the",
    ("train", *_BUILTIN, "--template", "{text}{label}{prompt:2}"): "reads nothing behind {label}",
    ("train", *_BUILTIN, "--init", f"text:{_LONG}"): "expected a prompt of fewer than 1,024",
    ("train", *_BUILTIN, "--target", _LONG): "expected a prompt of fewer than 1,024",
    ("train", *_BUILTIN, "--teacher", _LONG, "--objective", "distill"): "fewer than 1,024 virtual",
    ("train", *_BUILTIN, "--target", "so", "--length", "7"): "found length 7, target ",
    ("train", *_BUILTIN, "--init", "prompt:minilm-sst2-text"): "builtin reads rows of width 320",
    ("train", "--task", "shorten", "--model", "builtin", "--init", "labels"): "no label words to",
    ("train", *_MOOD, "--model", "minilm", "--method", "prefix_tuning"): "found an encoder",
    ("wayward", *_BUILTIN, "--init", "prompt:minilm-sst2-text"): "builtin reads rows of width 320",
    ("wayward", "--task", "mod"): "did you mean mood?",
    ("wayward", *_MOOD, "--model", "mnilm"): "did you mean minilm?",
    ("wayward", *_MOOD, "--targets", "definition"): "did you mean definitions?",
    ("wayward", *_MOOD, "--device", "gpu"): "choose cpu, cuda",
    ("sweep", "lenght"): "did you mean length?",
    ("sweep", "length", "--task", "mod"): "did you mean mood?",
    ("sweep", "length", *_MOOD, "--model", "builtn"): "did you mean builtin?",
    ("transfer", "sst2-txt", "trec-text", *_MOOD): "did you mean sst2-text",
    ("transfer", "sst2-text", "trec-text", "--task", "mod"): "did you mean mood?",
    ("transfer", "sst2-text", "trec-text", *_MOOD, "--measure", "cosin"): "did you mean mean_token",
    ("ablate", "sst2-txt", *_MOOD): "did you mean sst2-text",
    ("ablate", "sst2-text", *_MOOD, "--model", "builtn"): "did you mean builtin?",
    ("lens", "sst2-txt"): "did you mean sst2-text",
    ("lens", "sst2-text", "--model", "builtn"): "did you mean builtin?",
    ("report", "sst2-txt", *_OUT): "did you mean sst2-text",
    ("report", "sst2-text", *_OUT, "--task", "mod"): "did you mean mood?",
    ("report", "sst2-text", *_OUT, "--model", "builtn"): "did you mean builtin?",
    ("map", "sst2-txt"): "did you mean sst2-text",
    ("compare", "sst2-txt", "sst2-text"): "did you mean sst2-text",
    ("clusters", "sst2-txt", "sst2-text"): "did you mean sst2-text",
    ("decode", "sst2-txt"): "did you mean sst2-text",
    ("decode", "sst2-text", "--model", "builtn"): "did you mean builtin?",
    ("decode", "sst2-text", "--metric", "cosin"): "did you mean cosine?",
    ("convert", "sst2-txt", "x.npy", "--to", "npy"): "did you mean sst2-text",
    ("trian",): "Did you mean 'train'",
    ("train", "--metod", "pez"): "did you mean --method",
    ("train", *_MOOD, "--method", "prompttuning"): "did you mean prompt_tuning",
    ("train", *_MOOD, "--steps", "many"): "expected a valid integer, found 'many'",
}
"""Command lines, and what their answer says."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What one process says to every mistake, and the workspace it was in."""
    home = tmp_path_factory.mktemp("home")
    settings = {"PROBE_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_HOME": str(home / "hub")}
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        input=json.dumps([list(line) for line in MISTAKES]),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | settings,
    )
    return dict(zip(MISTAKES, json.loads(done.stdout), strict=True)), home


@pytest.mark.process
@pytest.mark.parametrize("line", MISTAKES, ids=lambda line: " ".join(line)[:80])
def test_a_mistake_is_one_line_and_torch_stays_away(answers, line):
    code, told, imported = answers[0][line]
    assert code in (1, 2)
    assert MISTAKES[line] in told
    assert len(told.strip().split("\n")) == 1 or told.startswith("Usage:")
    assert imported == []


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("decode", "sst2-text", "--filter", "wrods"), "did you mean words?"),
        (("read", "sst2-text", "--readings", "nearst"), "did you mean nearest?"),
        (("runs", "show", "mod"), "expected one of mood-20260102-030405"),
        (("train", "--resume", "mod"), "expected one of mood-20260102-030405"),
    ],
)
def test_every_name_of_a_list_is_suggested(arguments, meant, probe, home):
    (home / "runs" / "mood-20260102-030405").mkdir(parents=True)
    (home / "runs" / "mood-20260102-030405" / "config.json").write_text("{}")
    assert meant in probe(*arguments).err


def test_a_long_value_is_cut_in_the_message(probe):
    assert len(probe("train", "--task", "mood", "--method", "x" * 5000).err) < 2500


@pytest.mark.process
def test_no_mistake_leaves_a_run_or_a_study(answers):
    _, home = answers
    assert not any((home / name).is_dir() and any((home / name).iterdir()) for name in _LEFT)


_LEFT = ("runs", "studies", "prompts")


def test_label_words_that_repeat_are_told_as_such(probe, tmp_path):
    (tmp_path / "twice").mkdir()
    (tmp_path / "twice" / "task.toml").write_text('label_words = ["good", "good"]\n')
    (tmp_path / "twice" / "train.jsonl").write_text('{"text": "x", "label": "good"}\n')
    result = probe("train", "--task", "twice")
    assert result.code == 1 and "expected labels that differ, found 'good' twice" in result.err
