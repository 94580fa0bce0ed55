"""What comes with `probe` beside its modules: the dashboard and the sample prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from probe.paths import shipped


def sample_folders() -> dict[str, Path]:
    """The sample prompts by name, sorted."""
    root = shipped("sample_prompts")
    if root is None:
        return {}
    return {path.name: path for path in sorted(root.iterdir()) if _holds_prompt(path)}


def sample_facts() -> dict[str, dict[str, Any]]:
    """What the manifest says of each sample prompt: task, how it was made, what it scores."""
    root = shipped("sample_prompts")
    if root is None or not (root / "manifest.json").is_file():
        return {}
    manifest = json.loads((root / "manifest.json").read_text(encoding="utf-8"))
    return {entry["name"]: entry for entry in manifest["prompts"]}


def _holds_prompt(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("adapter_config.json", "prompt.safetensors"))
