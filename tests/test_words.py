"""One name for each thing, the researcher's: words that were given up stay out of what is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GIVEN_UP = {
    r"chance rows?\b": "Gaussian control",
    r"random directions?\b": "isotropic control",
    r"real tokens\b": "held-out tokens",
    r"\bheld near\b": "constrained to",
    r"that very text|from the text itself": "the target text",
    r"of its accuracy\b": "accuracy change",
    r"\bNear means\b": "Metric",
    r"\bLook at\b(?! the (address|prompt|two))": "Inspect",
    r"\bTake it along\b": "Export",
    r"\bOther words\b": "Template and label words",
    r"\bHeld out\b": "Validation fraction",
}


@pytest.mark.parametrize("folder", ["app", "docs", "probe"])
def test_pages_reports_and_the_terminal_use_the_researcher_s_words(folder: str) -> None:
    found = []
    for path in (ROOT / folder).rglob("*"):
        if path.suffix in (".py", ".html", ".ipynb") or path.name == "explanation.md":
            text = path.read_text(encoding="utf-8")
            found += [f"{path.name}: {old}, say {new}" for old, new in GIVEN_UP.items()
                      if re.search(old, text)]  # fmt: skip
    assert found == []
