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


def parallel_file(path: Path, states: dict[str, object]) -> Path:
    """As `NLPSaveRestoreConnector.save_to` packs the ranks of a model in parallel."""
    with tarfile.open(path, "w") as archive:
        members = {"./model_config.yaml": yaml.safe_dump(CONFIG).encode()}
        for rank, state in states.items():
            weights = io.BytesIO()
            torch.save(state, weights)
            members[f"./{rank}/model_weights.ckpt"] = weights.getvalue()
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    "ranks",
    [["mp_rank_00"], ["mp_rank_00", "mp_rank_01"], [f"tp_rank_0{r}_pp_rank_000" for r in (0, 1)]],
)
def test_ranks_that_each_hold_the_whole_table_are_one_prompt(
    ranks: list[str], tmp_path: Path
) -> None:
    rows = torch.randn(4, 6)
    state = {"prompt_table": table({"squad": rows})}
    path = parallel_file(tmp_path / "qa.nemo", dict.fromkeys(ranks, state))
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "unpacked" / "qa", filter="data")

    for place in (path, tmp_path / "unpacked" / "qa", tmp_path / "unpacked" / "qa" / ranks[0]):
        (prompt,) = load(place)
        np.testing.assert_array_equal(prompt.embeddings, rows.numpy())
        assert (prompt.name, prompt.base_model) == ("qa-squad", "megatron_gpt_345m.nemo")


def test_a_pipeline_stage_without_a_table_is_passed_over(tmp_path: Path) -> None:
    rows = torch.randn(4, 6)
    states = {
        "tp_rank_00_pp_rank_000": {"prompt_table": table({"squad": rows})},
        "tp_rank_00_pp_rank_001": {"output.weight": torch.randn(2, 2)},
    }
    (prompt,) = load(parallel_file(tmp_path / "qa.nemo", states))
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())


@pytest.mark.parametrize("parts", [(torch.ones(4, 3), torch.zeros(4, 3)), (torch.ones(2, 6), None)])
def test_ranks_that_hold_parts_are_refused_with_what_would_join_them(
    parts: tuple[torch.Tensor, torch.Tensor | None], tmp_path: Path
) -> None:
    other = {"squad": parts[1]} if parts[1] is not None else {"boolq": torch.ones(2, 6)}
    states = {
        "mp_rank_00": {"prompt_table": table({"squad": parts[0]})},
        "mp_rank_01": {"prompt_table": table(other)},
    }
    path = parallel_file(tmp_path / "qa.nemo", states)
    with pytest.raises(PromptFormatError, match="ranks hold different rows for 'squad' .* merge"):
        load(path)


def test_an_adapter_of_later_releases_is_read(tmp_path: Path) -> None:
    """`megatron_gpt_peft_models`: one table, baked in, under the adapter's own key."""
    rows = torch.randn(4, 6)
    key = "model.embedding.adapter_layer.ptuning_adapter.inference_table"
    (prompt,) = load(nemo_file(tmp_path / "qa.nemo", {key: rows}))
    np.testing.assert_array_equal(prompt.embeddings, rows.numpy())


def test_a_table_emptied_by_training_is_refused(tmp_path: Path) -> None:
    key = "model.embedding.adapter_layer.ptuning_adapter.inference_table"
    with pytest.raises(PromptFormatError, match="'ptuning_adapter' is all zeros: .* validate"):
        load(nemo_file(tmp_path / "qa.nemo", {key: torch.zeros(4, 6)}))


def test_tables_of_one_task_in_several_places_are_told_apart(tmp_path: Path) -> None:
    rows = {f"{place}.ptuning_adapter.inference_table": torch.randn(4, 6) for place in "ab"}
    first, second = load(nemo_file(tmp_path / "qa.nemo", rows))
    assert [first.task, second.task] == ["a.ptuning_adapter", "b.ptuning_adapter"]
