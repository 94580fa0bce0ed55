"""Hostile files: nothing runs, and each ends in one clear line, soon and within bounds."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save as safetensors

from probe.errors import PromptFormatError
from probe.formats import load
from tests.formats.attacks import write_attacks
from tests.formats.bombs import ROWS, koboldai, npy, tar_of
from tests.formats.gadgets import gadgets, live, saved
from tests.waiting import LONGEST_S

MOST_SECONDS = 2.0
MOST_BYTES = 300_000_000
WORKER = Path(__file__).with_name("attack_worker.py")


@dataclass(frozen=True)
class Outcome:
    """What became of one attack."""

    name: str
    kind: str
    message: str
    seconds: float
    """Of processor time, which other processes do not change."""
    growth: int
    """Peak memory above the idle process, in bytes."""


@dataclass(frozen=True)
class Siege:
    outcomes: list[Outcome]
    canary: Path


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Siege:
    """All attacks, loaded one after the other by one process."""
    folder = tmp_path_factory.mktemp("attacks")
    (folder / "files").mkdir()
    canary = folder / "canary"
    attacks = list(write_attacks(folder / "files", canary))
    lines = "\n".join(json.dumps(str(path)) for _, path in attacks)
    worker = subprocess.run(
        [sys.executable, "-W", "error", str(WORKER)],
        input=lines,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        cwd=Path(__file__).parents[2],
    )
    found = [json.loads(line) for line in worker.stdout.splitlines()]
    assert len(found) == len(attacks), f"died at {attacks[len(found)]}: {worker.stderr[-500:]}"
    return Siege(
        [Outcome(name, *rest) for (name, _), rest in zip(attacks, found, strict=True)], canary
    )


@pytest.mark.process
def test_there_are_hundreds_of_distinct_attacks(siege: Siege) -> None:
    names = [outcome.name for outcome in siege.outcomes]
    assert len(set(names)) == len(names) >= 600


@pytest.mark.process
def test_every_attack_ends_in_one_line_and_no_other_error(siege: Siege) -> None:
    bad = [o for o in siege.outcomes if o.kind != "refused" or "\n" in o.message or not o.message]
    assert not bad


@pytest.mark.process
def test_every_line_names_the_file(siege: Siege) -> None:
    assert not [o for o in siege.outcomes if str(siege.canary.parent) not in o.message]


@pytest.mark.process
def test_no_attack_takes_long(siege: Siege) -> None:
    assert not [o for o in siege.outcomes if o.seconds > MOST_SECONDS]


@pytest.mark.process
def test_no_attack_takes_much_memory(siege: Siege) -> None:
    assert not [o for o in siege.outcomes if o.growth > MOST_BYTES]


@pytest.mark.process
def test_nothing_ran(siege: Siege) -> None:
    assert not siege.canary.exists()


@pytest.mark.process
def test_the_gadgets_are_live(tmp_path: Path) -> None:
    """Otherwise a canary that does not appear would prove nothing."""
    for number, (name, _) in enumerate(live(tmp_path)):
        canary = tmp_path / f"canary{number}"
        result = pickle.loads(pickle.dumps(dict(live(canary))[name]))
        if name == "open":
            result.close()
        assert canary.exists(), name


def test_a_refused_gadget_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prompt.bin"
    path.write_bytes(dict(gadgets(tmp_path / "canary"))["builtins.eval"])
    line = "the pickle asks for builtins.eval; probe reads only tensors and plain containers"
    with pytest.raises(PromptFormatError, match=re.escape(line)):
        load(path)


@pytest.mark.process
def test_reading_a_torch_file_imports_neither_torch_nor_pickle(tmp_path: Path) -> None:
    path = tmp_path / "prompt.pt"
    torch.save(torch.ones(3, 4), path)
    script = (
        "import sys; from probe.formats.pickle.reader import read_pickle;"
        f"assert read_pickle(open({str(path)!r}, 'rb').read()).shape == (3, 4);"
        "assert 'torch' not in sys.modules; assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
    sources = (Path(__file__).parents[2] / "probe" / "formats").glob("*.py")
    assert not [p for p in sources if re.search(r"^\s*(import|from) pickle\b", p.read_text(), re.M)]


def _whole_files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6, 16)).astype(np.float32)
    tensor = torch.from_numpy(rows)
    state = {"prompt_table": {"prompt_table.t.prompt_embeddings.weight": tensor}}
    return {
        "x.npy": npy(rows),
        "x.safetensors": safetensors({"prompt_embeddings": rows}),
        "x.pt": saved(tensor),
        "legacy.pt": saved(tensor, zipped=False),
        "x.zip": koboldai(npy(rows)),
        "x.nemo": tar_of(("model_weights.ckpt", b"0", saved(state))),
        "plain.bin": pickle.dumps({"prompt_embeddings": rows}, 4),
    }


@pytest.mark.parametrize("name", _whole_files())
def test_a_file_cut_at_any_place_is_refused(name: str, tmp_path: Path) -> None:
    data = _whole_files()[name]
    path = tmp_path / name
    path.write_bytes(data)
    assert load(path)[0].embeddings.shape == (6, 16)
    data = data.rstrip(b"\0") if name.endswith(".nemo") else data  # a tar may end after a member
    for end in range(0, len(data), 64):
        path.write_bytes(data[:end])
        with pytest.raises(PromptFormatError):
            load(path)


def test_a_row_of_infinities_is_refused(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[1] = np.inf
    (tmp_path / "x.npy").write_bytes(npy(rows))
    with pytest.raises(PromptFormatError, match="must be finite, found 8 NaN or infinite"):
        load(tmp_path / "x.npy")


@pytest.mark.process
def test_damaged_files_of_every_format_end_in_a_prompt_or_one_line() -> None:
    """A few hundred of the fuzzer's cases; `make bench` runs twenty thousand."""
    root = Path(__file__).parents[2]
    fuzzer = subprocess.run(
        [sys.executable, "benchmarks/fuzz_formats.py", "--cases", "400", "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        cwd=root,
    )
    assert fuzzer.returncode == 0, fuzzer.stderr[-2000:]
    assert "400 cases, seed 7: 0 failures" in fuzzer.stdout
