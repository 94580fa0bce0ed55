"""A real Ray cluster of two nodes on this machine, one of which dies in the middle."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from probe.errors import TrainingError
from probe.studies.cache import ResultCache
from probe.studies.executor import Executor, sweep
from probe.studies.sources import keyed
from tests.studies.conftest import SHARED

pytestmark = [
    # Ray 2.60's own: sockets and files of its background processes, and names it deprecates itself.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.timeout(600),  # seconds, unless everything else on the machine starves it
]
_TRIES = 4


@pytest.fixture
def cluster(monkeypatch):
    """A cluster without nodes."""
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "180")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray
        from ray.cluster_utils import Cluster

        made = Cluster()
        yield made
        ray.shutdown()
        made.shutdown()


def _node(cluster):
    """Another node of one core, the first one the head; Ray waits 30 s for one, whatever is set."""
    for left in reversed(range(_TRIES)):
        try:
            if cluster.head_node is None:
                return cluster.add_node(num_cpus=1, include_dashboard=False)
            return cluster.add_node(num_cpus=1)
        except Exception as error:  # Ray raises no narrower one
            if not left or "timed out" not in str(error):
                raise
    return None


@pytest.mark.process
def test_a_sweep_outlives_a_node_and_ends_as_in_one_process(asked, cluster, tmp_path):
    runs = keyed(asked[:4], SHARED)
    alone = ResultCache(tmp_path / "alone")
    sweep(runs, SHARED, alone, executor=Executor(at_once=1))
    _, second = _node(cluster), _node(cluster)
    kept, seen = ResultCache(tmp_path / "cluster"), []

    def watch(progress):
        seen.append(progress.done)
        if progress.done == 1:
            cluster.remove_node(second, allow_graceful=False)

    sweep(runs, SHARED, kept, executor=Executor(at_once=1, ray=cluster.address), watch=watch)
    assert seen == [0, 1, 2, 3, 4]
    for run in runs:
        mine, theirs = kept.get(run.key), alone.get(run.key)
        np.testing.assert_allclose(mine.embeddings, theirs.embeddings, atol=1e-6)
        assert mine.metrics["test_accuracy"] == theirs.metrics["test_accuracy"]


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere"])
def test_no_cluster_is_one_clear_line_at_once(address, asked, tmp_path):
    runs = keyed(asked[:1], SHARED)
    with pytest.raises(TrainingError, match=f"no Ray cluster at {address} "):
        sweep(runs, SHARED, ResultCache(tmp_path), executor=Executor(ray=address))
