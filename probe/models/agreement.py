"""Does a loaded model read embeddings as it reads token ids? Asked once, before anything runs.

Prompts reach a model as embeddings, so texts do too. But a model may do to looked-up ids what it
does not do to embeddings: multiply them (Pegasus), add embeddings of its own to every layer (Gemma
3n), choose experts by them (DeepSeek V4). A few tokens run both ways tell. A factor is learned and
applied to embeddings as well; where padding counts, rows of one length run together; a model with
any other difference is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from probe.errors import ModelNotFoundError, ProbeError
from probe.models.embedding import learn_factor
from probe.models.encoder_decoder import EncoderDecoderModel
from probe.models.frozen import FrozenModel
from probe.models.injection import Injection
from probe.models.prefixes import run_ids
from probe.models.rows import Row, encode_batch, special_ids
from probe.models.sentence_encoder import SCALE

_TEXT = "It was a good film, but not the best one of the year."
_TOKENS = 10


@torch.no_grad()
def require_agreement(model: FrozenModel) -> None:
    """Make a model read texts given as embeddings as it reads token ids, or refuse it.

    Raises:
        ModelNotFoundError: it needs ids, or is no causal model although it was taken for one.
    """
    _require_steady_rows(model)
    rows = _rows(model)
    expected = _losses_by_ids(model, rows)
    if _difference(model, rows, expected) is None:
        return
    with _single_stream(model), model.precision():
        if model.writes and model.labels == "in_text":
            _require_causal(model, rows[0])
        for stack, layer in _stacks(model):
            learn_factor(stack, layer, torch.tensor([rows[0].prefix_ids], device=model.device))
    if _difference(model, rows, expected) is None:
        return
    model.pads = False
    if (problem := _difference(model, rows, expected)) is not None:
        raise ModelNotFoundError(
            f"{_named(model)} does not read embeddings as it reads the token ids they belong to "
            f"({problem}), so it cannot read a soft prompt: use another base model"
        )


def _require_steady_rows(model: FrozenModel) -> None:
    """Refuse what no run is needed to refuse."""
    if not isinstance(model.embed, nn.Module):
        raise ModelNotFoundError(
            f"{_named(model)} has no embedding layer whose rows it reads, so it cannot read a soft "
            "prompt: use another base model"
        )
    if any(_rounds_by_batch(part) for part in model.model.modules()):
        raise ModelNotFoundError(
            f"{_named(model)} is quantised by torch.ao, which rounds the states of a text by all "
            "that runs beside it, so one text gets different numbers: use the model as it was "
            "before quantisation"
        )
    model.pads = not hasattr(model.config, "lsh_attn_chunk_length")  # Reformer sorts padding in
    if "lsh" in getattr(model.config, "attn_layers", ()) and model.config.hash_seed is None:
        raise ModelNotFoundError(
            f"{_named(model)} hashes its attention anew each time, so one text gets different "
            "numbers: set hash_seed in its config.json"
        )


def _rounds_by_batch(part: nn.Module) -> bool:
    """Whether a layer of `quantize_dynamic` has one scale for all states that enter it."""
    packed = getattr(part, "_packed_params", None)
    dynamic = type(part).__module__.startswith("torch.ao.nn.quantized.dynamic")
    return dynamic and getattr(packed, "dtype", None) != torch.float16


def _losses_by_ids(model: FrozenModel, rows: Sequence[Row]) -> list[float]:
    """Loss of each row in nats, by transformers itself given ids."""
    try:
        with _single_stream(model), model.precision():
            return [_loss_by_ids(model, row) for row in rows]
    except (ProbeError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # transformers' own code answers with any
        way_out = "use --dtype float32" if model.autocast else "use another base model"
        raise ModelNotFoundError(
            f"{_named(model)} does not run on a text alone ({_short(error)}): {way_out}"
        ) from error


def _short(error: Exception) -> str:
    return shorten(f"{type(error).__name__}: {error}", 120, placeholder=" …")


def _named(model: FrozenModel) -> str:
    precision = f", in {str(model.dtype).removeprefix('torch.')}" if model.autocast else ""
    return f"{model.name} ({model.config.model_type}{precision})"


def _difference(model: FrozenModel, rows: Sequence[Row], expected: Sequence[float]) -> str | None:
    """What goes wrong when texts and a prompt are read as embeddings; None if nothing does."""
    tolerance = 0.05 if model.autocast else 1e-3
    which = torch.tensor([1] * len(rows) + [0])
    try:
        found = model.losses(_unlike_any_token(model), [*rows, rows[-1]], which).tolist()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # transformers' own code answers with any
        return f"given embeddings it fails with {_short(error)}"
    for ours, theirs in zip(found, expected, strict=False):
        if not abs(ours - theirs) <= tolerance * max(1.0, abs(theirs) / 10):
            return f"a loss of {ours:.4f} instead of {theirs:.4f} nats"
    return None


def _unlike_any_token(model: FrozenModel) -> Injection:
    """A prompt of one row that no token has, and an empty one."""
    rows = torch.randn(2, 1, model.width, generator=torch.Generator().manual_seed(0))
    return Injection(rows.to(model.device), [1, 0])


def _stacks(model: FrozenModel) -> list[tuple[Any, nn.Module]]:
    """What takes ids or embeddings, each with its embedding layer."""
    if isinstance(model, EncoderDecoderModel):
        encoder, decoder = model.model.get_encoder(), model.model.get_decoder()
        return [(encoder, model.embed), (decoder, model.decoder_embed)]
    return [(model.model, model.embed)]


@contextmanager
def _single_stream(model: FrozenModel) -> Iterator[None]:
    """Within the block, looked-up embeddings are float32, as given ones are."""
    layers = {layer for _, layer in _stacks(model)}
    weights = {id(weight) for layer in layers for weight in layer.parameters()}
    tied = (part for part in model.model.modules() if isinstance(part, nn.Embedding))
    layers |= {part for part in tied if id(part.weight) in weights}
    with ExitStack() as hooks:
        for layer in layers if model.autocast else ():
            hooks.enter_context(layer.register_forward_hook(_in_float32))
        yield


def _in_float32(_: nn.Module, __: Any, output: Any) -> Any:
    return output.float() if torch.is_tensor(output) else output


def _rows(model: FrozenModel) -> list[Row]:
    """Rows with labels of two tokens: one for a causal model, else two of different lengths."""
    first, second, *text = _ids(model)
    prefix, suffix = special_ids(model.tokenizer)
    options: tuple[tuple[int, ...], ...] = ((first, second),)
    closed = model.labels != "in_text"
    shorter = ((first,),) if model.labels == "in_decoder" else options
    if model.labels == "own_text":
        options = shorter = ((*prefix, first, *suffix), (*prefix, second, *suffix))
    after = () if closed or model.writes else tuple(suffix)
    alone = model.writes and not closed
    lengths = [len(text)] if alone else [len(text), max(len(text) - 2, 1)]
    return [
        Row((*prefix, *text[:length], *(suffix if closed else ())), labels, 0, after)
        for length, labels in zip(lengths, (options, shorter), strict=False)
    ]


def _ids(model: FrozenModel) -> list[int]:
    """Ids of a text, or of any tokens where the tokenizer knows too few words of it."""
    special = set(model.tokenizer.all_special_ids)
    spread = torch.linspace(0, model.vocabulary_size - 1, 4 * _TOKENS).long().tolist()
    given = [*encode_batch(model.tokenizer, [_TEXT])[0], *spread]
    plain = dict.fromkeys(i for i in given if i not in special and i < model.vocabulary_size)
    # Reformer treats what is longer than these otherwise, and adds to it.
    chunks = (f"{kind}_attn_chunk_length" for kind in ("lsh", "local"))
    wanted = _TOKENS + max(getattr(model.config, name, 0) for name in chunks)
    limit = wanted if model.positions is None else min(wanted, model.positions - 4)
    return list(islice(cycle(plain), max(limit, 3)))


def _require_causal(model: FrozenModel, row: Row) -> None:
    """Refuse a model whose predictions of a token see what follows."""
    ids = [*row.prefix_ids, *row.options[0]]
    shorter, longer = _logits(model, row.prefix_ids), _logits(model, ids)[: len(row.prefix_ids)]
    if not torch.allclose(shorter, longer, atol=0.05, rtol=0.05):
        raise ModelNotFoundError(
            f"{_named(model)} predicts a token otherwise when it sees what follows: expected a "
            "causal model (some are one by is_decoder in config.json) or a masked one"
        )


def _loss_by_ids(model: FrozenModel, row: Row) -> float:
    """Loss in nats of a row's first label, by transformers itself given ids."""
    if model.labels == "own_text":
        text, *labels = (_sentence(model, ids) for ids in (row.prefix_ids, *row.options))
        return -float((SCALE * (torch.stack(labels) * text).sum(-1)).log_softmax(-1)[0])
    option = list(row.options[0])
    if isinstance(model, EncoderDecoderModel):
        logits = _logits(model, row.prefix_ids, [model.start, *option[:-1]])
    elif model.writes:
        logits = _logits(model, [*row.prefix_ids, *option, option[0]])[len(row.prefix_ids) - 1 :]
    else:
        masks = model.label_placeholder * len(option)
        logits = _logits(model, [*row.prefix_ids, *masks, *row.suffix_ids])[len(row.prefix_ids) :]
    return -float(logits[: len(option)].log_softmax(-1)[range(len(option)), option].mean())


def _logits(model: FrozenModel, ids: Sequence[int], decoder: Sequence[int] = ()) -> Tensor:
    """Logits [T, V] on the CPU."""
    named: dict[str, Any] = {"input_ids": list(ids), "attention_mask": [1] * len(ids)}
    if decoder:
        named["decoder_input_ids"] = list(decoder)
    if model.writes:
        named["use_cache"] = False
    logits: Tensor = run_ids(model, **named).logits[0].float().cpu()
    return logits


def _sentence(model: FrozenModel, ids: Sequence[int]) -> Tensor:
    """Unit embedding [H] of a text on the CPU."""
    output = run_ids(model, input_ids=list(ids))
    return normalize(output.last_hidden_state[0].float().mean(0), dim=-1).cpu()
