"""What every test may ask for, and one thread for all of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

# Before torch and numba are imported, here and in every process that a test starts: models this
# small only lose time to a second thread, above all on a busy machine.
os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

import pytest

from tests.trainable import write_model, write_task


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny random Llama."""
    return str(write_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a task that such a model can learn."""
    return str(write_task(tmp_path_factory.mktemp("tasks") / "moods"))


@pytest.fixture
def own_handlers() -> Iterator[None]:
    """A worker that runs in this process takes the handlers of signals over; they come back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
