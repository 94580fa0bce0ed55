"""Real files from seven public projects; they are not in the repository."""

from __future__ import annotations

import numpy as np
import pytest

from probe.formats import load
from tests.formats.made_files import SHARED_PROMPTS

pytestmark = pytest.mark.skipif(
    not SHARED_PROMPTS.exists(), reason="real prompt files are not here"
)

FILES = {
    "google-npy-t5-base-lm/mrpc.npy": ("npy", (100, 768), None, "mrpc"),
    "google-npy-t5-base-lm/sst2.npy": ("npy", (100, 768), None, "sst2"),
    "peft-bin-bloomz-560m": ("peft", (8, 1024), None, "peft-bin-bloomz-560m"),
    "peft-bin-bloomz-560m/adapter_model.bin": ("peft", (8, 1024), None, "peft-bin-bloomz-560m"),
    "peft-safetensors-noconfig-tinyllama64": (
        "peft", (8, 64), None, "peft-safetensors-noconfig-tinyllama64",
    ),
    "peft-safetensors-noconfig-tinyllama64/adapter_model.bin": (
        "peft", (8, 64), None, "peft-safetensors-noconfig-tinyllama64",
    ),
    "tgis-pt-bloom-560m": ("tgis", (8, 1024), None, "tgis-pt-bloom-560m"),
    "tgis-pt-tiny_starcoder/decoder.pt": ("tgis", (6, 768), None, "tgis-pt-tiny_starcoder"),
    "tgis-pt-mt0-small#encoder": ("tgis", (8, 512), "encoder", "tgis-pt-mt0-small-encoder"),
    "tgis-pt-mt0-small/decoder.pt": ("tgis", (8, 512), "decoder", "tgis-pt-mt0-small-decoder"),
    "mkultra-json-gpt2/emma_gpt2.json": ("mkultra", (20, 768), None, "Emma Violence"),
    "mkultra-json-gpt2/iotest.json": ("mkultra", (2, 768), None, "FromString"),
    "thunlp-pickle-roberta-base/IMDB.task_prompt": ("thunlp", (100, 768), None, "IMDB"),
    "thunlp-pickle-roberta-base/MNLI.task_prompt": ("thunlp", (100, 768), None, "MNLI"),
    "thunlp-pickle-roberta-base/QNLI.task_prompt": ("thunlp", (100, 768), None, "QNLI"),
    "thunlp-pickle-roberta-base/SST2.task_prompt": ("thunlp", (100, 768), None, "SST2"),
    "thunlp-pickle-roberta-base/snli.task_prompt": ("thunlp", (100, 768), None, "snli"),
    "thunlp-pickle-t5-small/SST2.task_prompt": ("thunlp", (100, 512), None, "SST2"),
}  # fmt: skip


@pytest.mark.parametrize("source", FILES)
def test_every_file_is_read_with_its_format_shape_and_submodule(source: str) -> None:
    reader, shape, submodule, name = FILES[source]
    (prompt,) = load(SHARED_PROMPTS / source)
    assert prompt.embeddings.shape == shape
    assert (prompt.provenance.format, prompt.submodule) == (reader, submodule)
    assert (prompt.name, prompt.trained) == (name, True)


def test_no_file_is_left_untested() -> None:
    files = {path for path in SHARED_PROMPTS.rglob("*") if path.is_file()}
    tested = {SHARED_PROMPTS / source.partition("#")[0] for source in FILES}
    folders = {path for path in tested if path.is_dir()}
    left = {f for f in files - tested if f.parent not in folders and f.suffix != ".md"}
    assert not left


def test_the_whole_folder_is_read_at_once_under_distinct_names() -> None:
    prompts = load(SHARED_PROMPTS)
    assert len(prompts) == 16
    assert len({prompt.name for prompt in prompts}) == 16


def test_the_mt0_halves_differ_although_they_share_a_storage() -> None:
    encoder, decoder = load(SHARED_PROMPTS / "tgis-pt-mt0-small")
    assert (encoder.submodule, decoder.submodule) == ("encoder", "decoder")
    assert not np.allclose(encoder.embeddings, decoder.embeddings)


def test_row_norms_of_the_google_prompts_are_as_large_as_published() -> None:
    norms = np.concatenate([p.norms for p in load(SHARED_PROMPTS / "google-npy-t5-base-lm")])
    assert norms.min() > 235
    assert round(float(norms.max())) == 2177


def test_both_files_of_the_tinyllama_prompt_hold_the_same_rows() -> None:
    folder = SHARED_PROMPTS / "peft-safetensors-noconfig-tinyllama64"
    (safe,), (pickled,) = (
        load(folder / f"adapter_model.{ending}") for ending in ("safetensors", "bin")
    )
    np.testing.assert_array_equal(safe.embeddings, pickled.embeddings)


def test_the_2023_adapter_keeps_its_text_and_model() -> None:
    (prompt,) = load(SHARED_PROMPTS / "peft-bin-bloomz-560m")
    assert prompt.base_model == "bigscience/bloomz-560m"
    assert prompt.config["prompt_tuning_init_text"].startswith("Classify if the tweet")
    assert prompt.method == "prompt_tuning"
