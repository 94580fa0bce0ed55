"""For whom `probe app` opens the dashboard: its owner on this machine, or strangers (`--demo`)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from probe.requests import Option

LOOPBACK = "127.0.0.1"
TOKEN = "PROBE_DASHBOARD_TOKEN"
"""What the server's environment calls the token; its command line, others can read."""
_MEMORY_MB = 3000
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*/?")


@dataclass(frozen=True)
class Serving:
    """For whom the dashboard is opened."""

    workspace: Path | None = None
    """Workspace folder. Default: PROBE_HOME, else your own."""
    browser: Annotated[bool, Option(flag="--browser/--no-browser")] = True
    """Open a browser window."""
    no_token: bool = False
    """Let in whoever reaches the port: for use behind a login of your own."""


@dataclass(frozen=True)
class Public:
    """What strangers may reach."""

    demo: bool = False
    """Serve strangers, read-only, with limits, from an empty workspace that is gone afterwards."""
    host: Annotated[tuple[str, ...], Option(metavar="NAME")] = ()
    """A host name that the demo answers to. Repeatable. Default: this machine's own names."""
    base_path: Annotated[str, Option(metavar="PATH")] = ""
    """Where a proxy shows the demo, such as /probe."""
    address: str = LOOPBACK
    """What to listen on, 0.0.0.0 in a container. Only with --demo and --host."""
    memory: Annotated[int, Option(minimum=500, metavar="MB")] = _MEMORY_MB
    """Resident memory in MB from which on the demo computes nothing further."""

    def check(self) -> None:
        """Refuse what would let strangers into more than a demo.

        Raises:
            ProbeError: options contradict each other, or a name or path is none.
        """
        from probe.errors import ProbeError

        asked = {"--host": self.host, "--base-path": self.base_path,
                 "--address": self.address != LOOPBACK,
                 "--memory": self.memory != _MEMORY_MB}  # fmt: skip
        if not self.demo and (without := [name for name, given in asked.items() if given]):
            raise ProbeError(
                f"{without[0]} is for the demo, which alone lets strangers in: add --demo, or "
                f"leave {without[0]} out"
            )
        if self.address != LOOPBACK and not self.host:
            raise ProbeError(
                f"--address {self.address} needs the names under which it is reached: add --host"
            )
        for name in self.host:
            if not _NAME.fullmatch(name):
                raise ProbeError(
                    f"expected a host name such as demo.example.org, without port or scheme, "
                    f"found {name}"
                )
        if not _PATH.fullmatch(self.base_path):
            raise ProbeError(f"expected a path such as /probe, found {self.base_path}")

    @property
    def environment(self) -> dict[str, str]:
        """What tells the server and its pages."""
        if not self.demo:
            return {}
        return {
            "PROBE_DEMO": "1",
            "PROBE_DEMO_HOSTS": ",".join(self.host),
            "PROBE_DEMO_MEMORY_MB": str(self.memory),
            "HF_HUB_OFFLINE": "1",  # no visitor makes the server fetch anything
        }


_MAX_UPLOAD_MB = 200
_DEMO_MESSAGE_MB = 30
"""One page's figures, the map's being the largest; and what a visitor can make the server read."""


def command(script: Path, port: int, public: Public) -> list[str]:
    """The server's argument list.

    Flags win over every configuration file, so whatever guards the user is said here. The server
    opens no window itself: one that does also offers every page to install Streamlit's own tools.
    """
    options: dict[str, object] = {
        "server.address": public.address,
        "server.port": port,
        "server.headless": True,
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.enableAgentApi": False,
        "server.fileWatcherType": "none",
        "server.maxUploadSize": _MAX_UPLOAD_MB,
        "server.showEmailPrompt": False,
        "browser.serverAddress": "localhost",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "viewer",
        # Both are for authors of pages: advice with a stack, and word of Streamlit itself.
        "logger.level": "error",
        "logger.hideWelcomeMessage": True,
        "global.developmentMode": False,
        **(_demo_options(public) if public.demo else {}),
    }
    flags = [f"--{name}={_flag(value)}" for name, value in options.items()]
    hosts = [f"--server.allowedHosts={host}" for host in ("localhost", LOOPBACK, *public.host)]
    return [sys.executable, "-m", "streamlit", "run", str(script.absolute()), *flags, *hosts]


def _demo_options(public: Public) -> Mapping[str, object]:
    """What bounds the memory of many visitors."""
    base = {"server.baseUrlPath": public.base_path.strip("/")} if public.base_path else {}
    return base | {
        "server.maxUploadSize": 1,  # in MB; uploads are refused before they are read
        "server.maxMessageSize": _DEMO_MESSAGE_MB,
        "server.maxWidgetStateSize": 1,
        "server.maxCacheDataSize": "300mb",
        "server.disconnectedSessionTTL": 30,
    }


def _flag(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def server_environment(root: Path, token: str, public: Public) -> dict[str, str]:
    """The environment of the server, the token among it: its command line, others can read."""
    from probe.parent import WATCHED

    own = {"PROBE_HOME": str(root), TOKEN: token}
    return {**os.environ, **WATCHED, **own, **public.environment}
