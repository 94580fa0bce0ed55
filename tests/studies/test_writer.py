"""The files of a study stay in its folder, whatever its tasks are called."""

import numpy as np
import pandas as pd
import pytest

from probe.formats.layouts import probe_file
from probe.prompt import SoftPrompt
from probe.store import JobConfig, Workspace, queued
from probe.studies.cache import ResultCache, prompt_name
from probe.studies.specs import KeyedRun, RunSpec, Study, StudySettings
from probe.studies.writer import StudyWriter
from probe.training import TrainConfig

CONFIG = JobConfig("sweep", "any", {}, created="2026-01-01T00:00:00+00:00")


class _Found:
    def runs_frame(self):
        return pd.DataFrame({"a": [1]})

    to_frame = runs_frame

    def to_json(self):
        return {}


@pytest.mark.parametrize("name", ["../../../../../escaped", "..", "/tmp/x", "a\x00b\nc", "moods"])
def test_a_prompt_file_stays_in_the_study_whatever_the_task_is_called(name, tmp_path):
    study = Workspace(tmp_path / "home").studies.create(CONFIG, queued())
    kept, run = (
        ResultCache(tmp_path / "kept"),
        KeyedRun(RunSpec("builtin", "any", TrainConfig()), "0123456789ab"),
    )
    prompt = SoftPrompt(name, np.zeros((2, 4), np.float32), task=name)
    kept.put(run.key, probe_file.to_bytes(prompt))
    files = []
    asked = Study(
        StudySettings(),
        (run,),
        row=lambda _number, _prompt, file: files.append(file),
        summarise=lambda _rows: _Found(),
    )
    StudyWriter(asked, kept, study).write()
    (made,) = study.prompts.iterdir()
    assert files == [str(made)] and made.name.endswith("-0123456789.safetensors")
    assert {path.parent for path in tmp_path.rglob("*.safetensors")} == {study.prompts, kept.folder}


def test_a_usual_task_gives_a_prompt_its_name():
    assert prompt_name("moods", "0123456789ab") == "moods-0123456789"
    assert prompt_name("../" + "x" * 300, "0123456789ab") == "x" * 100 + "-0123456789"
