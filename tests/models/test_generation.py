"""Generation reads every prompt: compared with a greedy oracle without cache, one row at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from probe.models import Injection, InjectionError, Row, Slot
from probe.models.causal import CausalModel
from tests.models.conftest import PACKING, PLAIN
from tests.models.exactness import generate, prefixes, prompts

Maker = Callable[..., CausalModel]
TEXTS = ["the film was", "a", "good book and a very bad film , dull .", "it is not"]


def oracle(
    model: CausalModel, injection: Injection | None, text: str, which: int, new: int
) -> list[int]:
    """The most likely next token again and again, by scoring every token as a label."""
    ids = tuple(model.tokenizer(text)["input_ids"])
    written: list[int] = []
    while len(written) < new:
        row = Row((*ids, *written), tuple((token,) for token in range(model.vocabulary_size)))
        index = None if injection is None else torch.tensor([which])
        best = int(model.label_scores(injection, [row], index).argmax())
        if best in model.stops:
            break
        written.append(best)
    return written


def expected(
    model: CausalModel, injection: Injection | None, which: Sequence[int], new: int = 6
) -> list[str]:
    return [
        model.tokenizer.decode(oracle(model, injection, text, k, new), skip_special_tokens=True)
        for text, k in zip(TEXTS, which, strict=True)
    ]


def mixed(model: CausalModel, embeddings: Tensor) -> Injection:
    return Injection(embeddings.detach(), [7, 4, 0])


@pytest.mark.parametrize("name", PACKING + PLAIN)
def test_a_batch_of_mixed_prompts_equals_a_greedy_oracle_for_each(causal: Maker, name: str) -> None:
    model, which = causal(name), [0, 1, 2, 1]
    injection = mixed(model, prompts(model, 3, 7))
    found = generate(model, injection, TEXTS, torch.tensor(which), max_new_tokens=6)
    assert found == expected(model, injection, which)
    assert found != generate(model, None, TEXTS, max_new_tokens=6), "the prompts are read"
    alone = [
        generate(model, injection, [text], torch.tensor([k]), max_new_tokens=6)[0]
        for text, k in zip(TEXTS, which, strict=True)
    ]
    assert found == alone


@pytest.mark.parametrize(
    ("length", "name"),
    [(8, name) for name in PACKING + PLAIN]
    + [(3, name) for name in ("mistral-window", "qwen2-window", "gemma2")],
)
def test_a_batch_of_mixed_prefixes_equals_a_greedy_oracle_for_each(
    causal: Maker, name: str, length: int
) -> None:
    """Also behind sliding windows, where a hole between prefix and text would be silently wrong."""
    model, which = causal(name), [0, 1, 2, 1]
    injection = Injection(None, [length, length - 1, 0], prefixes(model, 3, length))
    found = generate(model, injection, TEXTS, torch.tensor(which), max_new_tokens=6)
    assert found == expected(model, injection, which)
    assert found != generate(model, None, TEXTS, max_new_tokens=6), "the prefixes are read"


def test_prompt_rows_inside_the_text_are_read(causal: Maker) -> None:
    model = causal("llama")
    row = Row((10, 11, 12, 13), (), slots=(Slot(1, 2), Slot(3, 1)))
    spelled = Row((10, 30, 31, 11, 12, 32, 13), ())
    injection = Injection(model.embed_ids(torch.tensor([[30, 31, 32]])), [3])
    found = model.generate_rows(injection, [row], max_new_tokens=5)
    assert found == model.generate_rows(None, [spelled], max_new_tokens=5)
    assert found != model.generate_rows(None, [Row(row.prefix_ids, ())], max_new_tokens=5)


def test_a_bare_prompt_can_be_continued(causal: Maker) -> None:
    model = causal("gpt2")
    injection = Injection(model.embed_ids(torch.tensor([[10, 11, 12]])), [3])
    assert generate(model, injection, [""]) == model.generate_rows(None, [Row((10, 11, 12), ())])
    with pytest.raises(InjectionError, match="nothing to continue"):
        generate(model, None, [""])


def test_generation_stops_at_the_end_token_and_at_the_limit(causal: Maker) -> None:
    model = causal("llama")
    free = oracle(model, None, TEXTS[0], 0, 5)
    assert len(free) == 5
    words = generate(model, None, [TEXTS[0]], max_new_tokens=5)[0]
    assert model.tokenizer(words)["input_ids"] == free
    model.model.generation_config.eos_token_id = [3, free[2]]
    try:
        stopped = generate(model, None, [TEXTS[0]], max_new_tokens=5)[0]
        assert model.tokenizer(stopped)["input_ids"] == free[: free.index(free[2])]
    finally:
        model.model.generation_config.eos_token_id = 3


def test_long_texts_are_cut_to_leave_room_for_prompt_and_new_tokens(causal: Maker) -> None:
    model = causal("gpt2")
    injection = Injection(prompts(model, 1, 10), [10])
    long = " ".join(["film"] * 100)
    assert generate(model, injection, [long], max_new_tokens=4) == generate(
        model, injection, [" ".join(["film"] * 50)], max_new_tokens=4
    )
    with pytest.raises(InjectionError, match="max_new_tokens must be 1 or more, found 0"):
        generate(model, injection, ["film"], max_new_tokens=0)
