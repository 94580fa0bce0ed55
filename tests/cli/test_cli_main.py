"""What all commands have in common: help, exit codes, one-line errors, a light start."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from probe import __version__
from probe.cli.main import app
from probe.cli.output import visible

ROOT = Path(__file__).parents[2]
HEAVY = "torch transformers scipy pandas streamlit plotly sklearn matplotlib"


def _commands():
    """Every command of the tree with its full name."""
    import typer

    def walk(command, name):
        yield name, command
        for child, below in getattr(command, "commands", {}).items():
            yield from walk(below, f"{name} {child}")

    return dict(walk(typer.main.get_command(app), "probe"))


COMMANDS = _commands()


def test_the_promised_commands_are_there():
    names = {name.split()[1] for name in COMMANDS if " " in name}
    assert names == {
        "inspect",
        "decode",
        "compare",
        "cram",
        "clusters",
        "map",
        "find",
        "convert",
        "library",
        "doctor",
        "app",
        "train",
        "runs",
        "evaluate",
        "predict",
        "generate",
        "sweep",
        "wayward",
        "transfer",
        "ablate",
        "knock-out",
        "prune",
        "lens",
        "report",
        "read",
        "distill",
        "demo",
        "push",
        "pull",
        "mcp",
        "bench",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_stands_in_the_documentation(name, probe):
    command = COMMANDS[name]
    assert command.help
    shown = probe(*name.split()[1:], "--help")
    assert shown.code == 0 and shown.err == ""
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    heading = "# Commands\n" if name == "probe" else f"# {name}\n"
    assert text.count(heading) == 1
    section = re.split(r"\n#+ ", text.split(heading)[1])[0]
    options = [p for p in command.params if p.param_type_name == "option"]
    for option in options:
        assert option.help, option.name
        for flag in (*option.opts, *option.secondary_opts):
            if flag in ("--help", "-h"):
                continue
            assert f"`{flag}`" in section, f"{name} {flag} is not in docs/commands.md"
            assert flag in shown.out
        assert option.help in section, f"help of {name} {option.opts} is not in docs/commands.md"
    if name != "probe":
        first = command.help.split("\n")[0]
        assert first in " ".join(section.split()), f"{name}: {first}"
    documented = set(re.findall(r"^\| `(-[-\w]+)`", section, flags=re.M)) - {"-h"}
    assert documented == {option.opts[0] for option in options} - {"--help"}


def test_version(probe):
    assert probe("--version").out == f"probe {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("decode",),
        ("decode", "sst2-text", "--metric", "hamming"),
        ("decode", "sst2-text", "-k", "0"),
        ("decode", "sst2-text", "--filter", "rare"),
        ("decode", "sst2-text", "--filter", "regex:("),
        ("find", "great", "-k", "-1"),
        ("convert", "sst2-text", "out", "--to", "pickle"),
        ("convert", "sst2-text", "out"),
        ("app", "--port", "70000"),
        ("library", "nonsense"),
    ],
)
def test_wrong_usage_exits_with_2_and_prints_nothing_on_stdout(arguments, probe):
    result = probe(*arguments)
    assert result.code == 2
    assert "Usage" in result.err + result.out
    assert "Traceback" not in result.err
    if arguments:
        assert result.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("decode", "nothing-here"), "no prompt 'nothing-here': expected a file or folder"),
        (("decode", "sst2-txt"), "did you mean sst2-text"),
        (("decode", "./missing.npy"), "./missing.npy"),
        (("decode", "subj-prefix"), "key/value prefix"),
        (("decode", "sst2-text", "--model", "minilm"), "width 320"),
        (("decode", "sst2-text", "--model", "./no-model"), "no model at ./no-model"),
        (("decode", "sst2-text", "--model", "~nobody-here/x"), "no model at ~nobody-here/x"),
        (("find", "␣great", "missing\x1b[31m.npy"), r"missing\x1b[31m.npy"),
        (("library", "log", "nobody"), "has no prompt nobody"),
        (("library", "remove", "nobody", "--yes"), "has no prompt nobody"),
        (("decode", "sst2-text", "--csv", "/dev/null/x.csv"), "/dev/null"),
    ],
)
def test_failure_exits_with_1_and_one_line_that_says_why(arguments, message, probe):
    result = probe(*arguments)
    assert result.code == 1
    assert result.out == ""
    assert result.err.startswith("probe: ") and result.err.count("\n") == 1
    assert message in result.err


def test_an_index_that_cannot_be_one_hinders_only_who_writes_and_that_in_one_line(probe, home):
    (home / "library.sqlite").mkdir()
    assert probe("library", "add", "sst2-text").code == 0
    assert "sst2-text@1" in probe("library").out
    result = probe("library", "tag", "sst2-text", "film")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("probe: ")


@pytest.mark.process
def test_python_m_probe_is_probe():
    done = subprocess.run(
        [sys.executable, "-m", "probe", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"probe {__version__}\n"


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["inspect", "sst2-text"],
        ["decode", "sst2-text"],
        ["decode", "sst2-text", "--json"],
        ["find", "␣great"],
        ["library"],
    ],
)
def test_nothing_heavy_is_imported_on_the_way(arguments):
    program = (
        "import sys\n"
        "from probe.cli.main import run\n"
        "try:\n    run(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        f"sys.stderr.write(' '.join(set('{HEAVY}'.split()) & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout
    assert done.stderr == ""


@pytest.mark.process
def test_tokens_a_terminal_cannot_write_are_escaped_not_fatal():
    done = subprocess.run(
        [sys.executable, "-m", "probe", "decode", "sst2-text", "--no-controls"],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "40"},
    )
    assert b"\\u2423" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if b"0." in line) <= 60


@pytest.mark.process
def test_no_colour_code_reaches_a_pipe_and_no_color_is_obeyed():
    for extra in ({}, {"NO_COLOR": "1", "TERM": "xterm-256color"}):
        done = subprocess.run(
            [sys.executable, "-m", "probe", "decode", "sst2-text", "--no-controls"],
            capture_output=True,
            check=True,
            env=os.environ | extra,
        )
        assert b"\x1b" not in done.stdout


def test_visible_text_holds_no_character_that_acts_or_hides():
    nasty = "[red]a\x1b[2J\r\n\u202ereversed\u200b\ufeff\u2028\ud800\U000e0041\x7f"
    shown = visible(nasty)
    assert shown.isprintable()
    assert shown.startswith(r"[red]a\x1b[2J\x0d\x0a\u202ereversed\u200b")
    assert visible("␣great, Gefühl 好 👍") == "␣great, Gefühl 好 👍"


def test_schemas_are_closed_so_that_a_new_field_cannot_slip_in():
    for path in (ROOT / "docs" / "schemas").glob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        assert schema["additionalProperties"] is False, path
