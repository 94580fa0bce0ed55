"""After a tab the shell offers prompts, files and models, and nothing it would run."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from probe.cli.completion import (
    complete_model,
    complete_prompt,
    complete_run,
    complete_workspace_prompt,
)
from probe.cli.main import app
from probe.prompt import SoftPrompt
from probe.store import Library, Workspace, sample_folders

KINDS = ("text", "labels", "vocab", "ptuning")


def _asked(words, shell):
    """What a shell sets when it asks for completions."""
    if shell == "bash":
        place = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    else:
        place = {"_TYPER_COMPLETE_ARGS": words}
    return {"_PROBE_COMPLETE": f"complete_{shell}"} | place


@pytest.fixture
def complete(monkeypatch, capsys):
    """What a shell is offered behind some words."""

    def offered(words, shell="bash"):
        for name, value in _asked(words, shell).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["probe"])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            app(prog_name="probe")
        said = capsys.readouterr()
        assert (end.value.code, said.err) == (0, "")
        return said.out

    return offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("probe dec", {"decode"}),
        ("probe decode minilm-trec-t", {"minilm-trec-text"}),
        ("probe decode minilm-sst2-", {f"minilm-sst2-{kind}" for kind in KINDS}),
        ("probe inspect sst2-text mine", {"mine@1"}),
        ("probe convert mine", {"mine@1"}),
        ("probe decode sst2-text --model bu", {"builtin"}),
        ("probe decode sst2-text --metric c", {"cosine"}),
        ("probe library tag mi", {"mine@1"}),
        ("probe decode --one", {"--one-to-one"}),
        ("probe inspect folder", {"folder/"}),
        ("probe inspect folder/", {"folder/a.npy"}),
    ],
)
def test_a_shell_is_offered_what_fits(words, offered, tmp_path, complete):
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "a.npy", np.ones((1, 2)))
    Workspace().save(Library().load_one("sst2-text").renamed("mine"))
    assert set(complete(words).split()) == offered


@pytest.mark.process
def test_zsh_is_offered_the_same_by_a_process_of_its_own():
    program = (
        "import sys; sys.argv[0] = 'probe'; from probe.cli.main import app; app(prog_name='probe')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | _asked("probe decode sst2-t", "zsh"),
        check=True,
    )
    assert done.stderr == ""
    assert "sst2-text" in done.stdout


def test_names_that_could_run_something_in_a_shell_are_never_offered(tmp_path):
    for name in ("x$(touch pwned)", "x`id`", "x'y", 'x"y', "x;y", "x\ny", "x y", "x\x1b[31m"):
        (tmp_path / name).write_text("")
    (tmp_path / "xplain.npy").write_text("")
    assert complete_prompt("x") == ["xplain.npy"]


@pytest.mark.parametrize("name", ["m$(id)", "m`id`", "m;id", "m'q", "m\x1b[31m", "--all", "m n"])
def test_folders_of_the_workspace_with_such_names_are_not_offered_either(name, home, tmp_path):
    Workspace().save(Library().load_one("sst2-text").renamed("mine"))
    for kind in ("prompts", "runs"):
        (home / kind).mkdir(exist_ok=True)
        shutil.copytree(home / "prompts" / "mine@1", home / kind / name, dirs_exist_ok=True)
        shutil.copytree(home / "prompts" / "mine@1", home / kind / f"{name}@1", dirs_exist_ok=True)
    (tmp_path / "-rf.npy").touch()
    for complete in (complete_prompt, complete_workspace_prompt, complete_run, complete_model):
        assert not [one for one in complete("") if one.startswith(("m$", "m`", "m;", "m'", "-"))]
        assert not [one for one in complete("m") if "\x1b" in one or " " in one]
        assert complete("$(touch pwned)") == []


def test_everything_is_offered_for_nothing_typed():
    assert set(complete_prompt("")) >= set(sample_folders())
    assert set(complete_model("")) >= {"builtin", "minilm"}
    assert complete_workspace_prompt("") == []


def test_base_models_of_the_library_are_offered():
    from dataclasses import replace

    Workspace().save(replace(Library().load_one("sst2-text"), base_model="org/some-model"))
    assert complete_model("org") == ["org/some-model"]


def test_a_damaged_workspace_does_not_disturb_the_shell(home):
    (home / "prompts").mkdir()
    (home / "library.sqlite").write_bytes(b"no database" * 99)
    assert "builtin" in complete_model("")


@pytest.mark.process
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_can_be_shown(shell):
    done = subprocess.run(
        [sys.executable, "-m", "probe", "--show-completion", shell],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )
    assert f"complete_{shell}" in done.stdout


@pytest.mark.process
def test_the_script_can_be_installed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "probe", "--install-completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ
        | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)},
    )
    assert "completion installed" in done.stdout
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


@pytest.mark.parametrize("named", [r"\$(touch pwned)", "$(id)", "`id`", "a b", "a'b", "a\\b"])
def test_a_base_model_that_a_prompt_names_is_offered_only_if_it_is_plain(named, complete):
    for name, base_model in (("evil", named), ("kind", "EleutherAI/pythia-70m")):
        Workspace().save(SoftPrompt(name, np.ones((1, 2), np.float32), base_model=base_model))
    assert named not in complete_model("")
    assert "EleutherAI/pythia-70m" in complete_model("E")
    assert "touch" not in complete("probe decode --model ", shell="zsh")
