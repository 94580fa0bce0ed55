"""The dashboard over 1,000 prompts, beside an empty Streamlit page in the same Chromium.

`speed`: first paint of every page, every page switch and some clicks, in turn with the same on
pages that hold one title, and the servers' memory. `sessions`: twenty browser sessions at once.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from dashboard_servers import write_library
from dashboard_sessions import besiege
from dashboard_speed import race
from report import publish


def main() -> None:
    """Measure one part and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("speed", "sessions"))
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        ids = write_library(home, args.prompts, args.seed)
        before = os.getloadavg()[0]
        if args.part == "speed":
            text = race(home, ids, args.rounds)
        else:
            text = besiege(home, ids, args.sessions, args.seconds)
        after = os.getloadavg()[0]
    load = (
        f"Load of the machine, {os.cpu_count()} cores: {before:.1f} before, {after:.1f} at the "
        "end, this benchmark's own included. Above the number of cores everything waits in turn"
        + (", but this ran ahead of all else (`chrt -r 1`)." if _runs_ahead() else ".")
    )
    publish(
        "dashboard",
        f"The dashboard with {args.prompts:,} prompts: {args.part}",
        f"{text}\n\n{load}",
        "streamlit",
        "playwright",
        write=args.write,
        part="" if args.part == "speed" else args.part,
    )


def _runs_ahead() -> bool:
    return os.sched_getscheduler(0) == os.SCHED_RR


if __name__ == "__main__":
    main()
