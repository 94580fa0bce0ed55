"""mkultra JSON: metadata beside a base64 pickle of a tensor (mkultra/soft_prompt.py, `to_json`)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from probe.errors import PromptFormatError
from probe.formats.build import Card, soft_prompt, text, without_batch
from probe.formats.content import Content, opened
from probe.formats.pickle.reader import read_pickle
from probe.prompt import AnyPrompt

_MEASURED = ("epoch", "step", "loss")


def read(content: Content) -> list[AnyPrompt] | None:
    """The prompt of a `{"metadata", "tensor"}` document, None for any other file.

    Raises:
        PromptFormatError: the tensor is no base64 pickle of a [P, H] or [1, P, H] tensor.
    """
    document = content.value
    if content.container != "json" or not isinstance(document, Mapping):
        return None
    if not {"metadata", "tensor"} <= document.keys():
        return None
    metadata = document["metadata"] if isinstance(document["metadata"], Mapping) else {}
    card = Card(
        name=text(metadata, "name") or content.name,
        reader="mkultra",
        method="prompt_tuning",
        metrics={key: metadata[key] for key in _MEASURED if key in metadata},
        config={key: value for key, value in metadata.items() if key not in _MEASURED},
    )
    rows = _tensor(content, document["tensor"])
    return [soft_prompt(content, without_batch(rows), card)]


def _tensor(content: Content, encoded: object) -> np.ndarray[Any, Any]:
    try:
        data = base64.b64decode(str(encoded), validate=True)
    except ValueError as error:  # a text that is not ASCII raises it plainly
        raise PromptFormatError(f"{content.path}: its tensor is not base64 ({error})") from error
    tensor = opened(content.path, read_pickle, data)
    if not isinstance(tensor, np.ndarray):
        raise PromptFormatError(
            f"{content.path}: expected a pickled tensor, found {type(tensor).__name__}"
        )
    return tensor
