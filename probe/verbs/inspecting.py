"""What one prompt is, in the row `probe inspect` prints."""

from __future__ import annotations

from typing import Any

from probe.prompt import AnyPrompt, KVPrefix
from probe.store import shape_of


def describe(prompt: AnyPrompt) -> dict[str, Any]:
    """Name, format, shape, base model, digest and norms of a prompt."""
    source = prompt.provenance
    return {
        "name": prompt.name,
        "kind": "kv_prefix" if isinstance(prompt, KVPrefix) else "soft_prompt",
        "format": source.format if source else None,
        "method": prompt.method,
        "shape": list(shape_of(prompt)),
        "base_model": prompt.base_model,
        "submodule": prompt.submodule,
        "trained": prompt.trained,
        "sha256": source.sha256 if source else None,
        "norms": [float(norm) for norm in prompt.norms],
    }
