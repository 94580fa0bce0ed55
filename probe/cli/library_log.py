"""`probe library log` as people read it: every version with its origin and its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from probe.analysis.gains import score_sentence
from probe.cli.output import console, rounded, visible
from probe.texts import counted


def print_log(rows: Sequence[Mapping[str, Any]]) -> None:
    """A paragraph per version, oldest first."""
    out = console()
    for row in rows:
        shape = " × ".join(map(str, row["shape"]))
        method = str(row["method"]).replace("_", " ")
        out.print(visible(f"{row['id']} · {method}, {shape} · {_added(row['created'])}"))
        for line in _facts(row):
            out.print(visible(f"  {line}"), soft_wrap=True)


def _facts(row: Mapping[str, Any]) -> Iterator[str]:
    if row["run"]:
        yield f"trained by run {row['run']}"
    if row["origin"]:
        yield f"read from {row['origin']} ({row['format']}), sha256 {str(row['sha256'])[:12]}"
    if row["stored_sha256"]:
        yield f"stored with sha256 {row['stored_sha256'][:12]}"
    if score := _score(row["metrics"]):
        yield score
    for one in row["evaluations"]:
        yield _evaluation(one)
    if row["tags"]:
        yield f"tags: {', '.join(row['tags'])}"
    if row["note"]:
        yield f"note: {row['note']}"


def _score(metrics: Mapping[str, Any]) -> str:
    """What training noted; empty where it noted nothing."""
    told = score_sentence(metrics)
    if not told:
        known = [
            f"{key.replace('_', ' ')} {rounded(value)}"
            for key, value in metrics.items()
            if _is_score(value)
        ]
        return ", ".join(known)
    return f"when trained: {told[0].lower()}{told[1:]}"


def _is_score(value: object) -> bool:
    return isinstance(value, float) and 0 <= value <= 1


def _evaluation(one: Mapping[str, Any]) -> str:
    low, high = one["interval"]
    metric = str(one["metric"]).replace("_", " ")
    return (
        f"evaluated {_time(one['recorded'])}: {one['task']} {one['split']} {metric} "
        f"{one['value']:.3f} [{low:.3f}, {high:.3f}] on {counted(one['n'], 'example')}, "
        f"{one['model']}"
    )


def _added(created: str | None) -> str:
    return "a sample, which has no history" if created is None else f"added {_time(created)}"


def _time(iso: str) -> str:
    """Day and minute, in UTC as it was noted."""
    return iso[:16].replace("T", " ")
