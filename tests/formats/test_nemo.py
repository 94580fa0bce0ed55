"""NeMo archives: MegatronBasePromptLearningModel.state_dict within `SaveRestoreConnector`'s tar."""

from __future__ import annotations

import io
import tarfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from probe.errors import PromptFormatError
from probe.formats import load

CONFIG = {
    "virtual_prompt_style": "p-tuning",
    "language_model_path": "megatron_gpt_345m.nemo",
    "existing_tasks": ["squad"],
    "hidden_size": 6,
}


def nemo_file(path: Path, state: object, mode: str = "w:gz", prefix: str = "./") -> Path:
    weights = io.BytesIO()
    torch.save(state, weights)
    members = {
        "model_config.yaml": yaml.safe_dump(CONFIG).encode(),
        "model_weights.ckpt": weights.getvalue(),
    }
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def table(tasks: dict[str, torch.Tensor], prefix: str = "") -> OrderedDict[str, torch.Tensor]:
    """`PromptTable.state_dict()`: each task's embedding and the index buffer beside it."""
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    for task, rows in tasks.items():
        state[f"{prefix}prompt_table.{task}.indices"] = torch.arange(len(rows))
        state[f"{prefix}prompt_table.{task}.prompt_embeddings.weight"] = rows
    return state


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_every_task_of_the_table_is_a_prompt(mode: str, prefix: str, tmp_path: Path) -> None:
    tasks = {"squad": torch.randn(4, 6).bfloat16(), "boolq.v2": torch.randn(3, 6).bfloat16()}
    path = nemo_file(tmp_path / "qa.nemo", {"prompt_table": table(tasks)}, mode, prefix)

    squad, boolq = load(path)

    assert [squad.name, boolq.name] == ["qa-squad", "qa-boolq.v2"]
    assert [squad.task, boolq.task] == ["squad", "boolq.v2"]
    np.testing.assert_array_equal(squad.embeddings, tasks["squad"].float().numpy())
    np.testing.assert_array_equal(boolq.embeddings, tasks["boolq.v2"].float().numpy())
    assert (squad.method, squad.base_model) == ("p_tuning", "megatron_gpt_345m.nemo")
    assert squad.provenance.format == "nemo"
    (picked,) = load(f"{path}#squad")
    assert picked.task == "squad"


def test_the_older_flat_table_is_read(tmp_path: Path) -> None:
    """`load_state_dict` keeps reading keys that begin with `prompt_table.prompt_table`."""
    rows = torch.randn(4, 6)
    path = nemo_file(tmp_path / "old.nemo", table({"squad": rows}, "prompt_table."))
    (prompt,) = load(path)
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())


def test_an_unpacked_archive_is_read_with_its_configuration(tmp_path: Path) -> None:
    rows = torch.randn(4, 6)
    folder = tmp_path / "qa"
    folder.mkdir()
    torch.save({"prompt_table": table({"squad": rows})}, folder / "model_weights.ckpt")
    (folder / "model_config.yaml").write_text(yaml.safe_dump(CONFIG))
    (prompt,) = load(folder)
    assert (prompt.name, prompt.base_model) == ("qa-squad", "megatron_gpt_345m.nemo")


def test_an_archive_without_a_table_is_refused(tmp_path: Path) -> None:
    path = nemo_file(tmp_path / "asr.nemo", {"encoder.weight": torch.randn(2, 2)})
    with pytest.raises(PromptFormatError, match="hold no prompt table"):
        load(path)


def test_a_tar_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a.txt", "a.txt")
    with pytest.raises(PromptFormatError, match=r"model_weights\.ckpt, found a\.txt"):
        load(tmp_path / "a.tar")
