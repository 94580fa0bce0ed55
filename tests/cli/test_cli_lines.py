"""`--serve` answers every line of standard input in one process."""

import io
import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.process
def test_each_line_is_answered_before_the_next_is_asked(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "probe", "predict", "mood-text", "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PROBE_HOME": str(tmp_path / "home")},
    ) as process:

        def answer(line):
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        (first,) = answer(b"What a lovely morning.")["predictions"]
        (row,) = answer(b'{"text": "bad\\nday"}')["predictions"]
        (blank,) = answer(b" great ")["predictions"]
        lines = (b'{"text"', b"\xff", b'{"title": "a"}', b'{"text": null}')
        said = [answer(line)["error"] for line in lines]
        (again,) = answer(b"What a lovely morning.")["predictions"]
        process.stdin.close()
        assert process.wait() == 0 and process.stdout.read() == b""
    assert (row["text"], blank["text"]) == ("bad\nday", " great ")
    assert first == again and "good" in first["probabilities"]
    assert "a JSON object" in said[0] and "UTF-8" in said[1] and "names {text}" in said[2]
    assert "to be a text, found None" in said[3]


def test_prompts_are_read_line_by_line(probe, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("mood-text\n\nnosuch\n mood-text \n"))
    told = probe("read", "--serve")
    first, empty, missing, again = map(json.loads, told.out.splitlines())
    assert first == again and first["answer"] and told.code == 0
    assert "no prompt 'nosuch'" in missing["error"] and "an empty line" in empty["error"]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("predict", "mood-text", "--serve", "--text", "a"), "not both"),
        (("generate", "mood-text", "--serve", "--file", "a.txt"), "not both"),
        (("predict", "mood-text", "--serve", "--csv", "a.csv"), "answers are lines"),
        (("read", "mood-text", "--serve"), "name a prompt, or give --serve"),
        (("read",), "name a prompt, or give --serve"),
    ],
)
def test_questions_come_from_one_side(probe, command, says):
    told = probe(*command)
    assert told.code == 2 and says in told.err
