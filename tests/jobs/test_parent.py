"""A process that was started so ends with its starter, and only then."""

import os
import signal
import subprocess
import sys

import pytest

from probe.jobs.processes import process_start_time
from probe.parent import WATCHED
from tests.waiting import until

CHILD = "import time; from probe.parent import end_with_parent; end_with_parent(); time.sleep(60)"
STARTER = f"""
import os, subprocess, sys
from probe.parent import WATCHED
child = subprocess.Popen(
    [sys.executable, "-c", {CHILD!r}], stdin=subprocess.PIPE, env=os.environ | WATCHED
)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="kills with a POSIX signal")
def test_a_killed_starter_takes_its_process_along():
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE) as starter:
        pid = int(starter.stdout.readline())
        assert process_start_time(pid) is not None
        starter.send_signal(signal.SIGKILL)
    until(lambda: process_start_time(pid) is None)


@pytest.mark.process
def test_without_the_word_an_empty_input_ends_nothing():
    short = CHILD.replace("60", "0.3") + "; import os; assert not any(n in os.environ for n in %r)"
    command = [sys.executable, "-c", short % (list(WATCHED),)]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode == 0
