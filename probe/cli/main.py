"""`probe`: the commands together, and what a failure looks like."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from probe import __version__
from probe.cli.asking import Ask
from probe.cli.options import Commands
from probe.cli.output import complain, one_line, visible
from probe.cli.requests import App
from probe.cli.studies import AskStudy
from probe.commands import COMMANDS, Command, in_cli
from probe.errors import is_failure
from probe.parent import end_with_parent

app = App(
    name="probe",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _made(command: Command) -> Any:
    """The command, or the group of commands, as typer takes it."""
    if command.made:
        return in_cli(command.made)
    return (AskStudy if command.facts else Ask)(command).command()


_groups: dict[str, typer.Typer] = {"": app}
for _command in COMMANDS:
    _group, _, _name = _command.name.rpartition(" ")
    if isinstance(_found := _made(_command), typer.Typer):
        app.add_typer(_found, name=_name)
        _groups[_name] = _found
    else:
        _groups[_group].command(_name)(_found)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 failed (one line says why), 2 usage.

    Args:
        arguments: what follows `probe`; the process's own when None.
    """
    atexit.register(gc.freeze)  # or the end takes a second, looking for garbage in all of torch
    _prepare_streams()
    _prepare_hang_up()
    end_with_parent()
    try:
        app(args=arguments)
    except BaseException as error:
        if not is_failure(error):
            raise
        if os.environ.get("PROBE_TRACEBACK"):
            raise
        complain(one_line(error))
        sys.exit(1)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"probe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001  its callback has done everything
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
) -> None:
    """What does a trained soft prompt mean? Load, decode and analyse soft prompts."""


class _Notes(logging.Handler):
    """What the library has to say on the way, on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"probe: {visible(record.getMessage())}\n")


def _prepare_streams() -> None:
    mend_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack a token's letters
    log = logging.getLogger("probe")
    log.setLevel(logging.INFO)
    log.handlers = [_Notes()]
    log.propagate = False


def _prepare_hang_up() -> None:
    """Let a terminal that is closed end a command as Ctrl-C does, unless it runs under nohup."""
    number = getattr(signal, "SIGHUP", None)
    if number is not None and signal.getsignal(number) is signal.SIG_DFL:
        signal.signal(number, signal.default_int_handler)


class ClosedStream(io.TextIOBase):
    """In place of a stdout that is closed: whoever writes to it is told."""

    def writable(self) -> bool:
        """It takes writes, to refuse them."""
        return True

    def write(self, text: str) -> int:
        """Refuse.

        Raises:
            OSError: always.
        """
        raise OSError(errno.EBADF, f"stdout is closed: {len(text)} characters have nowhere to go")


def mend_streams() -> None:
    """Put something in the place of every standard stream that is closed.

    A file opened later would else get the number of the closed one, and with it what any library
    writes to its standard error.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdin = sys.stdin or io.StringIO()
    sys.stdout = sys.stdout or ClosedStream()
    sys.stderr = sys.stderr or io.StringIO()
