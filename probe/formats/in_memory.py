"""From an object in memory to prompts: PEFT models, tensors, arrays, modules and state dicts.

They are read as what would be saved of them: a PEFT adapter as `save_pretrained` writes it, a
module as its state dict, each by the layouts of files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probe.errors import PromptFormatError
from probe.formats.build import distinct
from probe.formats.content import Content
from probe.formats.layouts.peft import CONFIG_FILE
from probe.formats.reading import read_content
from probe.formats.refusal import shown
from probe.live import LivePrompt, described, is_peft, unwrapped
from probe.prompt import AnyPrompt
from probe.texts import did_you_mean

if TYPE_CHECKING:
    from torch import nn

_EXPECTED = (
    "expected a PEFT model, a tensor, an array, a module or a state dict that holds a soft prompt"
)


@dataclass(frozen=True)
class ObjectContent(Content):
    """What an object in memory holds, as if a file did."""

    called: str = ""
    documents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What would lie beside the file, by name."""

    @property
    def name(self) -> str:
        """The prompt's name where the object carries none."""
        return self.called

    @property
    def words(self) -> str:
        """What errors call the whole."""
        return "an object"

    def beside(self, filename: str) -> Path | None:  # noqa: ARG002
        """None: no files lie beside an object."""
        return None

    def document(self, filename: str) -> Mapping[str, Any] | None:
        """What the file of that name would say."""
        return self.documents.get(filename, {})


def read_object(source: LivePrompt) -> list[AnyPrompt]:
    """Every prompt of an object; of a PEFT model, those of each adapter or of the one named.

    Prompts of a PEFT model know its base model.

    Raises:
        PromptFormatError: it holds none, a damaged one, or no adapter of that name.
    """
    value = source.value if is_peft(source.value) else unwrapped(source.value)
    if not is_peft(value):
        return distinct(read_content(_content(value, described(source.value))))
    base, found = source.base, list[AnyPrompt]()
    for adapter in _adapters(source):
        found += read_content(_adapter_content(value, adapter))
    return distinct([replace(one, live_model=base) for one in found])


def one_adapter(source: LivePrompt) -> LivePrompt:
    """The same where one prompt is meant: of a PEFT model the active adapter, or the named one."""
    if source.adapter is not None or not is_peft(source.value):
        return source
    return replace(source, adapter=str(source.value.active_adapter))


def _adapters(source: LivePrompt) -> list[str]:
    """The adapters that are read."""
    known = list(source.value.peft_config)
    if source.adapter is None:
        return known
    if source.adapter not in known:
        raise PromptFormatError(
            f"{source} has no adapter {source.adapter!r}, it has "
            f"{', '.join(map(repr, known))}{did_you_mean(source.adapter, known)}"
        )
    return [source.adapter]


def _adapter_content(model: Any, adapter: str) -> Content:
    """One adapter as `save_pretrained` writes it, its encoder run as PEFT runs it."""
    from peft import get_peft_model_state_dict

    config = model.peft_config[adapter]
    where = f"{described(model)}, adapter {shown(adapter)}"
    if not config.is_prompt_learning:
        raise PromptFormatError(
            f"{where}: expected a method that trains a prompt, found {config.peft_type.value}, "
            "which changes the model's weights: name another adapter (adapter=)"
        )
    encoder = model.prompt_encoder[adapter]
    with without_dropout(encoder):  # with gradients, as PEFT: an LSTM rounds otherwise without
        _require_numbers(encoder.state_dict(), where)
        state = get_peft_model_state_dict(
            model, adapter_name=adapter, save_embedding_layers=False, state_dict={}
        )
    document = json.loads(json.dumps(config.to_dict(), default=_plain))
    return _of_state(state, where, adapter, {CONFIG_FILE: document})


@contextmanager
def without_dropout(module: nn.Module) -> Iterator[None]:
    """Within the block a module computes as it does when it is used; its modes come back."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _plain(value: object) -> Any:
    """What JSON has no word for: sets, and choices by their value."""
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def _content(value: Any, where: str) -> Content:
    """A tensor, an array, a module or a state dict as if a file held it."""
    called = type(value).__name__.lower()
    if isinstance(value, np.ndarray):
        return _of_array(value, "npy", where, called)
    if _is_tensor(value):
        _require_numbers({"": value}, where)
        return _of_array(_array(value), "pickle", where, called)
    if isinstance(value, Mapping):
        return _of_state(_tensors_of(value), where, "state_dict", {})
    if hasattr(value, "state_dict") and hasattr(value, "named_parameters"):
        return _of_module(value, where, called)
    raise PromptFormatError(f"{where}: {_EXPECTED}, found a {type(value).__name__}")


def _of_module(module: nn.Module, where: str, called: str) -> Content:
    """An embedding, quantised or not, as the rows it answers; any other module as its state."""
    import torch

    state = _tensors_of(module.state_dict())
    _require_numbers(state, where)
    count: Any = getattr(module, "num_embeddings", None)
    if count is None:
        return _of_state(state, where, called, {})
    if type(module) is torch.nn.Embedding and type(module.weight) is torch.nn.Parameter:
        return _of_array(_array(module.weight), "pickle", where, called)
    device = next((one.device for one in state.values()), None)
    with torch.no_grad(), without_dropout(module):
        answers = module(torch.arange(count, device=device))
    return _of_array(_array(answers), "pickle", where, called)


def _of_array(array: NDArray[Any], container: Any, where: str, called: str) -> Content:
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return ObjectContent(Path(where), container, array, digest, array.nbytes, called=called)


def _of_state(
    state: Mapping[str, Any], where: str, called: str, documents: Mapping[str, Mapping[str, Any]]
) -> Content:
    _require_numbers(state, where)
    arrays = {str(key): _array(value) for key, value in state.items()}
    digest = hashlib.sha256()
    for key, array in sorted(arrays.items()):
        digest.update(f"{key} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return ObjectContent(
        Path(where),
        "pickle",
        arrays,
        digest.hexdigest(),
        sum(array.nbytes for array in arrays.values()),
        called=called,
        documents=documents,
    )


def _tensors_of(value: Mapping[Any, Any], prefix: str = "", depth: int = 8) -> dict[str, Any]:
    """The tensors and arrays of a dictionary, those of inner ones under dotted keys."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        if _is_tensor(item) or isinstance(item, np.ndarray):
            found[f"{prefix}{key}"] = item
        elif isinstance(item, Mapping) and depth:
            found |= _tensors_of(item, f"{prefix}{key}.", depth - 1)
    return found


def _is_tensor(value: object) -> bool:
    return hasattr(value, "detach") and hasattr(value, "is_meta")


def _require_numbers(state: Mapping[str, Any], where: str) -> None:
    """Refuse tensors that have a shape and no numbers."""
    for key, tensor in state.items():
        if getattr(tensor, "is_meta", False):
            named = f" ({shown(key)})" if key else ""
            raise PromptFormatError(
                f"{where} is on the meta device, which holds a shape {list(tensor.shape)} and no "
                f"numbers{named}: load its weights first"
            )


def _array(value: Any) -> NDArray[Any]:
    """The numbers of a tensor as numpy has them: bfloat16, which it lacks, as float32."""
    if isinstance(value, np.ndarray):
        return value
    tensor = value.detach().cpu()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.is_sparse:
        tensor = tensor.to_dense()
    if tensor.is_floating_point() and str(tensor.dtype) not in _OF_NUMPY:
        tensor = tensor.float()
    array: NDArray[Any] = tensor.resolve_conj().resolve_neg().numpy()
    return array


_OF_NUMPY = ("torch.float16", "torch.float32", "torch.float64")
