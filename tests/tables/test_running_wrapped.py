"""A prompt runs on the language model within a larger model, or one line says why not."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from probe.errors import ModelNotFoundError
from probe.models import Row, load_model
from tests.tables.tiny_models import V, build, save, write_json
from tests.tables.wrapped_models import WRAPPERS, build_wrapped, save_as_published


def _add_tokenizer(folder: Path) -> Path:
    words = {token: row for row, token in enumerate(["<pad>", "<bos>", "<eos>", "<unk>"])}
    words |= {f"w{row}": row for row in range(4, V)}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {f"{name}_token": f"<{name}>" for name in ("pad", "bos", "eos", "unk")}
    PreTrainedTokenizerFast(tokenizer_object=inner, **special).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("model_type", sorted(set(WRAPPERS) - {"blip-2"}))
def test_losses_are_those_of_the_whole_model_given_ids(model_type: str, tmp_path: Path) -> None:
    whole = build_wrapped(model_type)
    model = load_model(_add_tokenizer(save_as_published(whole, model_type, tmp_path)))
    assert model.family == "causal" and type(model.model) is type(whole)
    ids = [5, 17, 60, 8]
    with torch.no_grad():
        logits = whole(input_ids=torch.tensor([ids])).logits[0, :-1]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]))
    row = Row(prefix_ids=(ids[0],), options=(tuple(ids[1:]),), label=0, slots=())
    np.testing.assert_allclose(float(model.losses(None, [row])[0]), float(expected), rtol=1e-4)


def test_a_model_that_writes_no_text_is_one_line(tmp_path: Path) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel

    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
    model = CLIPTextModel(CLIPTextConfig(vocab_size=V, num_attention_heads=2, **sizes))
    encoder = _add_tokenizer(save(model, tmp_path / "text_encoder"))
    with pytest.raises(ModelNotFoundError, match="is of type clip_text_model, which writes no"):
        load_model(encoder)
    write_json(tmp_path / "model_index.json", {"text_encoder": ["transformers", "CLIPTextModel"]})
    for name in (tmp_path, encoder):
        with pytest.raises(ModelNotFoundError, match="text encoder of an image pipeline"):
            load_model(name)
    seq2seq = _add_tokenizer(save(build_wrapped("blip-2"), tmp_path / "blip"))
    with pytest.raises(ModelNotFoundError, match="is of type blip-2, which writes no text here"):
        load_model(seq2seq)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_hidden_layers": 10**7}, "num_hidden_layers = 10000000, but the weights have"),
        ({"vocab_size": 10**9}, "describes a model of 3.2e\\+10 parameters, but its weights have"),
        ({"intermediate_size": 10**7}, "intermediate_size = 10000000, but no tensor of the weig"),
        (
            {"hidden_size": 10**7},
            "hidden_size = 10000000, but no tensor of the weights is wider th",
        ),
        ({"intermediate_size": 25}, "weights of the sizes that config.json states, found others"),
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_built(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    model = build("llama", head=True)
    folder = _add_tokenizer(save(model, tmp_path))
    write_json(folder / "config.json", model.config.to_dict() | change)
    started = time.process_time()
    with pytest.raises(ModelNotFoundError, match=words) as caught:
        load_model(folder)
    assert time.process_time() - started < 20 and "\n" not in str(caught.value)
