"""Maps: `probe` against scikit-learn and umap-learn called directly, in one run, as ratios.

30,522 vocabulary rows (minilm) and 2,000 prompt rows. Processor time, because other programs may
share the machine; both sides start from the two arrays and end with places in two dimensions.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from report import publish, table
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize
from umap import UMAP

from probe.analysis.layouts import Layout, MapMetric
from probe.analysis.maps import Map, map_rows
from probe.store import Workspace
from probe.tables import load_vocabulary
from probe.vocabulary import Vocabulary

NAME = ["prompts"]
METRICS: tuple[MapMetric, ...] = ("l2", "cosine")


def main() -> None:
    """Measure both sides in turn, several rounds of PCA and one or more of UMAP."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--umap-rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    vocabulary = load_vocabulary("minilm")
    words = vocabulary.rows(slice(None))
    rng = np.random.default_rng(args.seed)
    near = words[rng.choice(len(words), args.rows, replace=False)]
    rows = (near + 0.02 * rng.standard_normal(near.shape)).astype(np.float32)
    with tempfile.TemporaryDirectory() as home, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        workspace = Workspace(home)
        lines = [_pca(rows, words, vocabulary, metric, args.rounds) for metric in METRICS]
        lines += _umap(rows, words, vocabulary, workspace, args.umap_rounds)
        kept = next(Path(home).rglob("*.npz")).stat().st_size
    lines.append(_neighbours(rows, vocabulary))
    header = ["what", "probe, CPU s", "called directly, CPU s", "ratio"]
    note = (
        f"{len(words):,} vocabulary rows and {args.rows:,} prompt rows of width {words.shape[1]}, "
        f"float32, seed {args.seed}; medians of {args.rounds} rounds (PCA) and "
        f"{args.umap_rounds} (UMAP), in turn. `probe` includes trustworthiness, measured in a "
        "seeded sample of 300 rows, and the fingerprint that keys the cache; for the cosine, both "
        "sides scale rows to unit length before PCA. Neighbours in the original space are found "
        "when first asked for and have their own line. A kept UMAP takes "
        f"{kept / 1e3:.0f} kB; reopening it is read against computing it."
    )
    libraries = ("numpy", "scikit-learn", "umap-learn")
    text = f"{table(header, lines)}\n\n{note}"
    publish("maps", "Maps beside the libraries alone", text, *libraries, write=args.write)


def _pca(
    rows: np.ndarray, words: np.ndarray, vocabulary: Vocabulary, metric: MapMetric, rounds: int
) -> list[str]:
    def direct() -> Any:
        both = np.concatenate([rows, words])
        return PCA(2).fit_transform(normalize(both) if metric == "cosine" else both)

    def ours() -> Map:
        return map_rows([rows], vocabulary, Layout(metric=metric), names=NAME)

    np.testing.assert_allclose(ours().points, direct()[: len(rows)], atol=1e-4)
    mine, theirs = np.median([(_seconds(ours), _seconds(direct)) for _ in range(rounds)], axis=0)
    return _line(f"PCA, {metric}", mine, theirs)


def _umap(
    rows: np.ndarray, words: np.ndarray, vocabulary: Vocabulary, workspace: Workspace, rounds: int
) -> list[list[str]]:
    def direct() -> Any:
        both = np.concatenate([rows, words])
        return UMAP(metric="cosine", random_state=0, n_jobs=1).fit_transform(both)

    def ours(seed: int = 0) -> Map:
        layout = Layout("umap", seed=seed)
        return map_rows([rows], vocabulary, layout, names=NAME, cached=workspace.cached_arrays)

    UMAP(metric="cosine", random_state=0, n_jobs=1).fit(words[:5000])  # compiles, for both sides
    vocabulary.__dict__.pop("fingerprint", None)
    times = [(_seconds(partial(ours, n)), _seconds(direct)) for n in range(rounds)]
    mine, theirs = np.median(times, axis=0)
    again = np.median([_seconds(ours) for _ in range(5)])
    reopened = [f"UMAP, reopened ({again / mine:.2%} of computing it)", f"{again:.3f}", "", ""]
    return [_line("UMAP, cosine", mine, theirs), reopened]


def _neighbours(rows: np.ndarray, vocabulary: Vocabulary) -> list[str]:
    mapped = map_rows([rows], vocabulary, Layout(), names=NAME)
    return [
        "10 neighbours of every prompt row",
        f"{_seconds(lambda: mapped.neighbours):.2f}",
        "",
        "",
    ]


def _line(what: str, mine: float, theirs: float) -> list[str]:
    return [what, f"{mine:.3f}", f"{theirs:.3f}", f"{mine / theirs:.3f}"]


def _seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
