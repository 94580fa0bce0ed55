"""Dashboards in processes of their own: a port for one, and the moment from which it answers."""

from __future__ import annotations

import socket
import subprocess
import urllib.request
from pathlib import Path

from tests.waiting import until


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def wait_until_healthy(
    server: subprocess.Popen[bytes],
    port: int,
    log: Path | None = None,
    path: str = "_stcore/health",
) -> None:
    """Return once a dashboard answers at a path; `log` is shown where it ended instead."""

    def answers() -> bool:
        said = log.read_text()[-2000:] if log else ""
        assert server.poll() is None, f"the dashboard ended: {said}"
        try:
            address = f"http://127.0.0.1:{port}/{path}"
            with urllib.request.urlopen(address, timeout=5) as response:
                return bool(response.read() == b"ok")
        except OSError:
            return False

    until(answers, every_s=0.05)
