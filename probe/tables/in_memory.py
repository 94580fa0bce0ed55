"""A model in memory: its vocabulary, its facts, and a second module on the same weights.

Its vocabulary is what its embedding layer answers to ids; the model stays as it is.
"""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probe.arrays import Float32Array, multiplied
from probe.errors import ModelNotFoundError, words_of
from probe.live import LiveModel, live_model
from probe.tables.architectures import Which, no_stacks, require_which
from probe.tables.built import input_layer, stack_layer
from probe.tables.embedding_layers import answer_of
from probe.tables.facts import ModelFacts, facts_of
from probe.tables.named import place_on_disk
from probe.tables.span import TORCH_DTYPES, Table
from probe.tables.tokenizers_on_disk import tokenizer_of
from probe.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

_CHUNK = 4096
"""Ids that a layer is asked at once."""


def vocabulary_of_objects(model: Any, tokenizer: Any = None, which: Which = "input") -> Vocabulary:
    """See `Vocabulary.from_model`."""
    require_which(which)
    return read_live_vocabulary(live_model(model, tokenizer), which)


def read_live_vocabulary(live: LiveModel, which: Which = "input") -> Vocabulary:
    """The vocabulary of a model in memory, which is left as it is.

    Raises:
        ModelNotFoundError: it has no such table, no numbers, or no tokenizer.
    """
    layer = _layer(live, which)
    require_weights(layer, live.name)
    table = _table(copy_on_same_weights(layer, live.name).eval(), live)
    data = _tokenizer_json(live)
    tokenizer = tokenizer_of(data, json.loads(data), live.name)
    return tokenizer.vocabulary(live.name, table)


def live_facts(live: LiveModel) -> ModelFacts:
    """What a model in memory can do."""
    config = live.model.config.get_text_config().to_dict()
    config |= {
        "architectures": [live.architecture],
        "is_encoder_decoder": live.model.config.is_encoder_decoder,
    }
    return facts_of(live, config)


def text_tokenizer(live: LiveModel) -> Any:
    """The tokenizer of a model in memory: its own, else the one beside the files it came from.

    Raises:
        ModelNotFoundError: none came with it, and it tells no place on this machine.
    """
    if live.tokenizer is not None:
        return live.tokenizer
    place = live.place and place_on_disk(live.place)
    if place:
        from transformers import AutoTokenizer

        from probe.tables.codec import tokenizer_calls

        # The library answers strange and missing files with any exception.
        with suppress(Exception), tokenizer_calls(live.name):
            return AutoTokenizer.from_pretrained(
                str(place), trust_remote_code=False, local_files_only=True
            )
    raise ModelNotFoundError(
        f"{live.name} came without its tokenizer, and none is where it was loaded from: give it "
        "too, as tokenizer=, or model=(model, tokenizer)"
    )


def _layer(live: LiveModel, which: Which) -> Any:
    """The layer that looks ids up."""
    model = live.model
    if which != "input" and (layer := stack_layer(model, which)) is not None:
        return layer
    if which != "input":
        raise no_stacks(live.name, which)
    layer = input_layer(model) or model.get_input_embeddings()
    if layer is None:
        raise ModelNotFoundError(f"{live.name} has no table of text tokens: give a language model")
    return layer


def _table(layer: Any, live: LiveModel) -> Table:
    """What a layer feeds the model on: its stored rows and their factor, else its answers."""
    import torch

    weight: Any = getattr(layer, "weight", None)
    plain = type(weight) is torch.nn.Parameter and weight.ndim == 2
    dtype = TORCH_DTYPES.get(str(weight.dtype).removeprefix("torch.")) if plain else None
    values = _as_stored(weight) if dtype else None
    if dtype and values is not None and type(layer) is torch.nn.Embedding:
        return Table(values, dtype)
    ids = torch.arange(_count(layer, live), device=_device(layer, live))
    parts = (ids[first : first + _CHUNK] for first in range(0, len(ids), _CHUNK))
    answers = np.concatenate([_answers(layer, part) for part in parts])
    if dtype and values is not None and values.shape == answers.shape:
        for factor in _factors(layer):  # of every row: a wrapper may change a few of them
            if np.array_equal(multiplied(values, factor), answers):
                return Table(values, dtype, factor)
    return Table(answers, "F32")


def _as_stored(weight: Tensor) -> NDArray[np.generic]:
    """A copy of rows [V, H] in their precision: training may go on in the model's own."""
    import torch

    held = weight.detach().cpu()
    held = held.view(torch.uint16) if held.dtype == torch.bfloat16 else held
    return np.array(held.numpy(), order="C")


def _factors(layer: Any) -> list[float]:
    """Numbers that a layer may multiply rows by."""
    import torch

    scale = getattr(layer, "embed_scale", None)  # transformers' name for it, where it has one
    tried = [torch.as_tensor(1.0 if scale is None else scale)]
    tried.append(tried[0].to(layer.weight.dtype))  # some layers round it first
    return [float(one) for one in tried if one.numel() == 1]


def _answers(layer: Any, ids: Tensor) -> Float32Array:
    """What the layer makes of ids [n], float32 [n, H]."""
    import torch

    with torch.no_grad():
        found: Float32Array = answer_of(layer, ids).float().cpu().numpy()
    return found


def _count(layer: Any, live: LiveModel) -> int:
    """V: how many ids a layer answers to."""
    known = getattr(layer, "num_embeddings", None)
    return int(known or live.model.config.get_text_config().vocab_size)


def _device(layer: Any, live: LiveModel) -> Any:
    tensors = [*layer.parameters(), *layer.buffers()]
    return tensors[0].device if tensors else live.model.device


def _tokenizer_json(live: LiveModel) -> bytes:
    """`tokenizer.json` as it would be saved, without what the last batch left set."""
    from tokenizers import Tokenizer

    from probe.tables.codec import tokenizer_calls

    with tokenizer_calls(live.name):
        backend = Tokenizer.from_str(text_tokenizer(live).backend_tokenizer.to_str())
        backend.no_truncation()
        backend.no_padding()
        return backend.to_str(pretty=True).encode()


def copy_on_same_weights(module: Any, where: str) -> Any:
    """A copy of a module and its configuration that shares its numbers and nothing else.

    Modes, hooks, gradients and flags of the first are its own: the copy's parameters are others on
    the same memory. Quantised parameters, which have no gradients, are the same objects.

    Raises:
        ModelNotFoundError: something in it cannot be copied.
    """
    import torch

    shared: dict[int, Any] = {id(buffer): buffer for buffer in module.buffers()}
    for parameter in module.parameters():
        own = type(parameter) is torch.nn.Parameter or parameter.requires_grad
        shared[id(parameter)] = (
            torch.nn.Parameter(parameter.detach(), requires_grad=False) if own else parameter
        )
    kept = list(shared.values())  # ids must not be given to others while they are looked up
    try:
        return copy.deepcopy(module, shared)
    except Exception as error:  # what hangs on a module may answer with any
        raise ModelNotFoundError(
            f"{where} cannot be read beside its owner: something on it cannot be copied "
            f"({words_of(error)}); save it with save_pretrained and name its folder"
        ) from error
    finally:
        del kept


def require_weights(module: Any, where: str) -> None:
    """Refuse a module that has shapes and no numbers.

    Raises:
        ModelNotFoundError: some of it is on the meta device.
    """
    if any(tensor.is_meta for tensor in module.parameters()):
        raise ModelNotFoundError(
            f"{where} is on the meta device, at least in part, which holds shapes and no numbers: "
            "load its weights first"
        )
