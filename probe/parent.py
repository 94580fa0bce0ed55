"""A process that ends with the one that started it, however that one ends.

The starter holds the other end of its standard input and never writes: the system closes it even
when the starter is killed.

    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment | WATCHED)
"""

from __future__ import annotations

import os
import signal
import threading
import time

WATCHED = {"PROBE_ENDS_WITH_STDIN": "1"}
"""What the environment of such a process says; its own children do not get it."""
_POLITE_S = 5.0


def end_with_parent() -> None:
    """From now on end when standard input does, if this process was started so."""
    asked = [os.environ.pop(name, None) for name in WATCHED]
    if all(asked):
        threading.Thread(target=_end_when_alone, daemon=True).start()


def _end_when_alone() -> None:
    while os.read(0, 1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_POLITE_S)
    os._exit(1)
