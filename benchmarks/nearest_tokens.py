"""Nearest tokens: `probe` against FAISS and scikit-learn, in one run, as ratios.

2,000 queries × 128,256 rows × 1,024, k = 10, float32, exact. The physical limit beside the figures
is the machine's own float32 matrix-multiply rate, measured in the same run on the same shapes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import torch
from report import publish, table
from sklearn.neighbors import NearestNeighbors

from probe.analysis.neighbours import Metric, nearest_rows


def main() -> None:
    """Measure every contender in turn, several rounds, and keep each one's best time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=128_256)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    rows = rng.standard_normal((args.rows, args.width), dtype=np.float32)
    queries = rng.standard_normal((args.queries, args.width), dtype=np.float32)

    contenders = _contenders(queries, rows, args.k)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    answers: dict[str, np.ndarray] = {}
    for _ in range(args.rounds):
        for name, run in contenders.items():
            start = time.perf_counter()
            answers[name] = run()
            seconds[name].append(time.perf_counter() - start)
    best = {name: min(times) for name, times in seconds.items()}
    work = 2e-9 * args.queries * args.rows * args.width
    publish(
        "nearest_tokens",
        "Nearest tokens: exact search, one run",
        _report(best, answers, work, args),
        "numpy",
        "torch",
        "faiss-cpu",
        "scikit-learn",
        write=args.write,
    )


def _contenders(
    queries: np.ndarray, rows: np.ndarray, k: int
) -> dict[str, Callable[[], np.ndarray]]:
    wide_rows, wide_queries = torch.from_numpy(rows), torch.from_numpy(queries)
    unit_rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    unit_queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)

    def product() -> np.ndarray:
        for start in range(0, len(rows), 8192):
            wide_queries @ wide_rows[start : start + 8192].T
        return np.empty(0)

    def ours(metric: Metric) -> Callable[[], np.ndarray]:
        return lambda: nearest_rows(queries, rows, metric, k=k).ids

    def index(flat: faiss.Index, database: np.ndarray, asked: np.ndarray) -> np.ndarray:
        flat.add(database)
        return flat.search(asked, k)[1]

    def sklearn(metric: str) -> Any:
        search = NearestNeighbors(n_neighbors=k, algorithm="brute", metric=metric).fit(rows)
        return search.kneighbors(queries, return_distance=False)

    width = rows.shape[1]
    return {
        "fp32 product": product,
        "probe l2": ours("l2"),
        "faiss l2": lambda: index(faiss.IndexFlatL2(width), rows, queries),
        "sklearn l2": lambda: sklearn("euclidean"),
        "probe cosine": ours("cosine"),
        "faiss cosine": lambda: index(faiss.IndexFlatIP(width), unit_rows, unit_queries),
        "sklearn cosine": lambda: sklearn("cosine"),
        "probe dot": ours("dot"),
        "faiss dot": lambda: index(faiss.IndexFlatIP(width), rows, queries),
    }


def _report(
    best: dict[str, float],
    answers: dict[str, np.ndarray],
    work: float,
    args: argparse.Namespace,
) -> str:
    lines = []
    for metric in ("l2", "cosine", "dot"):
        mine = best[f"probe {metric}"]
        for rival in ("faiss", "sklearn"):
            name = f"{rival} {metric}"
            if name in best:
                same = np.mean(answers[name] == answers[f"probe {metric}"])
                lines.append(
                    [metric, rival, f"{mine:.2f}", f"{best[name]:.2f}", f"{best[name] / mine:.2f}×"]
                    + [f"{same:.4%}", f"{best['fp32 product'] / mine:.0%}"]
                )
    header = ["metric", "rival", "probe s", "rival s", "probe is faster by"]
    header += ["same ids in the same places", "of the fp32 rate"]
    limit = work / best["fp32 product"]
    return (
        f"{args.queries:,} queries × {args.rows:,} rows × {args.width:,}, k = {args.k}; best of "
        f"{args.rounds} rounds, seed {args.seed}. FAISS gets rows already scaled to unit length "
        "for the cosine; its time includes copying the rows into the index, as scikit-learn's "
        f"includes `fit`.\n\n{table(header, lines)}\n\n"
        f"Physical limit: the bare float32 product of the same matrices takes "
        f"{best['fp32 product']:.2f} s ({limit:.0f} GFLOP/s). `probe` may pass 100 % of it: its "
        "first pass multiplies in bfloat16, whose error bound decides which rows are ranked again "
        "in float64. Rivals rank in float32, so near-ties may stand in another order there."
    )


if __name__ == "__main__":
    main()
