"""`probe`: the commands together, and what a failure looks like."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from probe import __version__
from probe.cli import (
    bench,
    comparison,
    dashboard,
    decode,
    demo,
    doctor,
    evaluation,
    hub,
    insides,
    inspection,
    lens,
    library,
    mcp,
    reading,
    runs,
    sweep,
    train,
    transfer,
    wayward,
)
from probe.cli.options import Commands
from probe.cli.output import complain, one_line, visible
from probe.cli.requests import App
from probe.errors import is_failure
from probe.parent import end_with_parent

app = App(
    name="probe",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,  # tokens and paths in help and usage errors are text, never markup
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("inspect")(inspection.inspect_prompts)
app.command("decode")(decode.decode)
app.command("read")(reading.read)
app.command("find")(decode.find)
app.command("compare")(comparison.compare)
app.command("clusters")(comparison.clusters)
app.command("map")(comparison.map_prompts)
app.command("convert")(inspection.convert)
app.command("push")(hub.push)
app.command("pull")(hub.pull)
app.command("train")(train.train)
app.command("distill")(reading.distill)
app.command("cram")(reading.cram)
app.command("evaluate")(evaluation.evaluate)
app.command("predict")(evaluation.predict)
app.command("generate")(evaluation.generate)
app.command("sweep")(sweep.sweep)
app.command("wayward")(wayward.wayward)
app.command("transfer")(transfer.transfer)
app.command("ablate")(insides.ablate)
app.command("knock-out")(insides.knock_out)
app.command("prune")(insides.prune)
app.command("lens")(lens.lens)
app.command("report")(comparison.report)
app.add_typer(bench.app, name="bench")
app.add_typer(runs.app, name="runs")
app.add_typer(library.app, name="library")
app.command("doctor")(doctor.doctor)
app.command("app")(dashboard.dashboard)
app.command("demo")(demo.demo)
app.command("mcp")(mcp.mcp)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 failed (one line says why), 2 usage.

    Args:
        arguments: what follows `probe`; the process's own when None.
    """
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
