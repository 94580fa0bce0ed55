"""A whole report as one HTML file: figures drawn by the script inside it, nothing ever fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import shlex
from collections.abc import Mapping
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from probe.analysis.compare import MEASURES, pair_words, separation_sentence
from probe.analysis.gains import score_sentence
from probe.analysis.neighbours import METRIC_NAMES
from probe.prompt import AnyPrompt, KVPrefix
from probe.reports.decoding import FLAG_MEANINGS, environment, strips
from probe.reports.document import Report
from probe.reports.figures import figures_json, report_figures
from probe.reports.headlines import decoding_headline, map_headline

_LIBRARIES = ("soft-prompt-probe", "numpy", "scikit-learn", "plotly")


def report_html(report: Report) -> str:
    """The page: it opens anywhere, runs its own two scripts and no other, and prints.

    The same report gives the same bytes.
    """
    figures = report_figures(report)
    scripts = [get_plotlyjs(), files("probe").joinpath("templates", "report.js").read_text("utf-8")]
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            title=_title(report),
            heights={name: figure.layout.height for name, figure in figures.items()},
            figures=Markup(figures_json(figures)),
            scripts=[Markup(script) for script in scripts],
            digests=[_digest(script) for script in scripts],
            parts=[(part, provenance(part.prompt)) for part in report.prompts],
            headline=decoding_headline,
            score_sentence=score_sentence,
            separation_sentence=separation_sentence,
            pair_words=pair_words,
            strips=strips,
            map_headline=map_headline,
            shell=shlex.join,
            measures=MEASURES,
            metrics=METRIC_NAMES,
            flags=FLAG_MEANINGS,
            made_by=_made_by(),
        )
    )


def provenance(prompt: AnyPrompt) -> dict[str, Mapping[str, str]]:
    """What is known of a prompt's origin, by group; values are text of any kind."""
    source = prompt.provenance
    array = prompt.keys if isinstance(prompt, KVPrefix) else prompt.embeddings
    starts = None if isinstance(prompt, KVPrefix) else prompt.init_token_ids
    file = {
        "file": source and source.path,
        "sha256": source and source.sha256,
        "format": source and source.format,
        "reader version": source and source.reader_version,
        "kind": "key/value prefix" if isinstance(prompt, KVPrefix) else "soft prompt",
        "shape": " × ".join(map(str, array.shape)),
        "method": prompt.method,
        "base model": prompt.base_model,
        "revision": prompt.revision,
        "submodule": prompt.submodule,
        "task": prompt.task,
        "started from tokens": starts and list(starts),
        "left out": ", ".join(f"{one.name} ({one.why})" for one in prompt.left_out) or None,
    }
    groups = {"origin": file, "metrics": prompt.metrics, "configuration": prompt.config}
    return {
        group: {name: _text(value) for name, value in facts.items() if value is not None}
        for group, facts in groups.items()
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    return json.dumps(value, ensure_ascii=False, default=str)


def _title(report: Report) -> str:
    if len(report.prompts) == 1:
        return f"What does {report.prompts[0].prompt.name} mean?"
    return f"What do {len(report.prompts)} prompts mean?"


def _digest(script: str) -> str:
    """As a Content-Security-Policy names a script, so that the browser runs no other."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _made_by() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return f"{libraries}, Python {platform.python_version()}"
