"""What a user keeps to themselves stands in no log, run folder, prompt, export or report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainable import write_task

TOKEN = "hf_" + "Secret" * 6


def _holding(folder: Path, secret: str) -> list[str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return [str(file) for file in files if secret.encode() in file.read_bytes()]


@pytest.mark.process
def test_no_file_and_no_line_holds_a_token_or_the_name_of_a_home(
    probe, home, tmp_path, monkeypatch
):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "PROBE_DASHBOARD_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    write_task(tmp_path / "alicehome" / "moods")
    monkeypatch.chdir(tmp_path / "alicehome")
    said = [
        probe(
            *("train", "--model", "builtin", "--task", "moods", "--steps", 2, "--length", 2),
            *("--batch-size", 2, "--name", "mine", "--device", "cpu"),
        ),
        probe("convert", "mine@1", tmp_path / "alicehome" / "out", "--to", "peft"),
        probe("decode", "mine@1", "--html", "d.html", "--csv", "d.csv"),
        probe("decode", "absent/absent"),
        probe("decode", "mine@1", "--model", "absent/absent"),
    ]
    assert [result.code for result in said] == [0, 0, 0, 1, 1], [one.err for one in said]
    assert not [one for one in said if TOKEN in one.out + one.err]
    assert _holding(tmp_path, TOKEN) == []
    # The run alone says where its rows lie, so that it can go on; it is its owner's.
    told = _holding(tmp_path, "alicehome")
    assert told and all(f"{home}/runs/" in file or f"{home}/library" in file for file in told), told
