"""What every test may ask for, and one thread for all of them."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

# Before torch and numba are imported, here and in every process that a test starts: models this
# small only lose time to a second thread, above all on a busy machine, and without byte code every
# process compiles what it imports anew.
os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}

import pytest


class NoProcesses:
    """A run that leaves out what is marked `process` fails what starts one without the mark."""

    def __init__(self) -> None:
        self._testing = False
        sys.addaudithook(self._refuse)

    def _refuse(self, event: str, _: object) -> None:
        if self._testing and event in ("subprocess.Popen", "os.fork", "os.posix_spawn"):
            raise RuntimeError("this test starts a process: mark it with pytest.mark.process")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self._testing = True
        try:
            return (yield)
        finally:
            self._testing = False


def pytest_configure(config: pytest.Config) -> None:
    if "not process" in config.option.markexpr:
        config.pluginmanager.register(NoProcesses())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected is no garbage, and is not looked through again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def kept_arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of workspaces, of all workers: what is only kept to be quick is computed once."""
    place = tmp_path_factory.getbasetemp()
    kept = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "cache"
    kept.mkdir(exist_ok=True)
    return kept


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_arrays: Path) -> Path:
    """The usual workspace of a test: its own, but for what is kept only to be quick."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "cache").symlink_to(kept_arrays, target_is_directory=True)
    monkeypatch.setenv("PROBE_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return home


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny random Llama."""
    from tests.trainable import write_model  # heavy, and most folders of tests do without

    return str(write_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="session")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a task that such a model can learn."""
    from tests.trainable import write_task

    return str(write_task(tmp_path_factory.mktemp("tasks") / "moods"))


@pytest.fixture
def own_handlers() -> Iterator[None]:
    """A worker that runs in this process takes the handlers of signals over; they come back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    if before[signal.SIGHUP] is signal.SIG_IGN:  # under nohup; what is tested is a terminal's
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
