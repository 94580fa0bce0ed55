"""`probe app`: the dashboard, for this machine only, or as a demo for strangers."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from probe.cli.output import complain
from probe.cli.requests import takes_requests
from probe.cli.serving import LOOPBACK, Public, Serving, command, server_environment

ADDRESS = LOOPBACK
DEFAULT_PORT = 8501
_PORTS_TRIED = 50
_POLITE_S = 5.0
"""What the server has to close its pages and end what works for them."""


@takes_requests
def dashboard(
    serving: Serving,
    public: Public,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=1, max=65535, help="Port. Default: the first free one from 8501."
        ),
    ] = None,
) -> None:
    """Open the dashboard, for this machine and whoever has its address alone; Ctrl-C ends it."""
    raise typer.Exit(serve(serving, port, public))


def serve(serving: Serving, port: int | None, public: Public) -> int:
    """Serve the dashboard until it ends; its exit code.

    Raises:
        MissingExtraError: Streamlit is not installed.
        ProbeError: the pages are gone, the port is taken, or options contradict each other.
    """
    from importlib.util import find_spec

    from probe.errors import MissingExtraError, ProbeError
    from probe.paths import shipped

    public.check()
    if find_spec("streamlit") is None:
        raise MissingExtraError("streamlit", "app")
    folder = shipped("app")
    if public.demo and serving.workspace is not None:
        raise ProbeError("the demo has a workspace of its own: leave --workspace out")
    if folder is None:
        raise ProbeError("the dashboard's pages are gone: reinstall soft-prompt-probe")
    port = _free_port() if port is None else _require_free(port)
    with _workspace_of(serving, public) as root:
        return _serve(_Place(folder / "main.py", root, port), serving, public)


@contextmanager
def _workspace_of(serving: Serving, public: Public) -> Iterator[Path]:
    """The folder that is served; strangers get one of their own, which is gone afterwards."""
    from probe.store import Workspace

    if not public.demo:
        yield Workspace(serving.workspace).root
        return
    # What a worker still writes there is in nobody's way.
    with TemporaryDirectory(prefix="probe-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class _Place:
    """Where the pages, their workspace and their server are."""

    script: Path
    root: Path
    port: int


def _serve(at: _Place, serving: Serving, public: Public) -> int:
    """Say where the dashboard is, and serve it until it ends; its exit code."""
    from probe.cli.announcing import announced, running_dashboards

    token = "" if serving.no_token or public.demo else secrets.token_urlsafe(32)
    environment = server_environment(at.root, token, public)
    place = f"http://{ADDRESS}:{at.port}/{public.base_path.strip('/')}".rstrip("/")
    address = place + (f"/?token={token}" if token else "")
    for other in running_dashboards(at.root):
        complain(f"another dashboard of this workspace is at {other}")
    _end_like_ctrl_c()  # before anybody can know that there is something to end
    complain(f"the dashboard is at {address} (Ctrl-C ends it)")

    def start(shown: str) -> subprocess.Popen[bytes]:
        # From its own folder, no module or configuration lying where the user stands gets in.
        server = subprocess.Popen(
            command(at.script, at.port, public),
            env=environment,
            cwd=at.script.parent,
            stdin=subprocess.PIPE,
        )
        if serving.browser and not public.demo and _has_display():
            threading.Thread(
                target=_open_window, args=(server, at.port, shown), daemon=True
            ).start()
        return server

    with suppress(KeyboardInterrupt), announced(at.root, at.port, address) as shown:
        return _wait_for(partial(start, shown))
    return 0


def _free_port() -> int:
    from probe.errors import ProbeError

    for port in range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED):
        if _is_free(port):
            return port
    raise ProbeError(
        f"no free port from {DEFAULT_PORT} to {DEFAULT_PORT + _PORTS_TRIED - 1}: name one: --port"
    )


def _require_free(port: int) -> int:
    from probe.errors import ProbeError

    if not _is_free(port):
        raise ProbeError(f"port {port} is taken or not yours: name another with --port")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server itself will: a port that only waits for late packets is free.
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True


def _has_display() -> bool:
    """Whether a window can be seen: over SSH, Linux would start a browser in the terminal."""
    shown = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in shown)


def _open_window(server: subprocess.Popen[bytes], port: int, shown: str) -> None:
    """Open the user's browser as soon as the server answers."""
    import webbrowser
    from urllib.request import urlopen

    health = f"http://{ADDRESS}:{port}/_stcore/health"
    while server.poll() is None:
        try:
            urlopen(health, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            webbrowser.open(shown)
            return


def _end_like_ctrl_c() -> None:
    """Let a polite kill and a terminal that is closed do what Ctrl-C does; nohup keeps ignoring."""
    for number in _endings():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _wait_for(start: Callable[[], subprocess.Popen[bytes]]) -> int:
    """Wait for a server; being asked to end is a normal end, whatever the server does."""
    server = None
    try:
        server = start()
        code = _exit_code(server)
    except KeyboardInterrupt:
        if server is not None:  # else it ends by itself, as nobody holds its standard input
            _end(server)
        return 0
    return 0 if code == -signal.SIGTERM else code


def _exit_code(server: subprocess.Popen[bytes]) -> int:
    """Look again and again: a signal just before a wait without end begins would not end it."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return server.wait(timeout=60)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Ask politely, then kill: one that is still starting may have missed being asked."""
    for number in _endings():
        signal.signal(number, signal.SIG_IGN)  # it is ending
    server.terminate()
    try:
        server.wait(timeout=_POLITE_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _endings() -> list[int]:
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
