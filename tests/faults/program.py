"""The tracker as the fault tests start it: ``run``, or one worker or scheduler without a supervisor.

A planted bug or a wrong clock is put in when this module is imported. The children of ``run`` import it too,
since it is the main module of the process that spawns them.
"""

import faulthandler
import multiprocessing
import os
import signal
import sys
import time

from tests.faults import planted
from tracker import logs
from tracker.settings import load
from tracker.supervisor import child_main
from tracker.supervisor.run import run


def _move_clock(offset_s: int) -> None:
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + offset_s
    time.time_ns = lambda: now_ns() + offset_s * 1_000_000_000


faulthandler.register(signal.SIGUSR1)  # asks a process that hangs where it does
planted.plant(os.environ.get(planted.VARIABLE, ""))
if int(os.environ.get("CLOCK_OFFSET_S", "0")):
    _move_clock(int(os.environ["CLOCK_OFFSET_S"]))


def main() -> int:
    settings = load()
    what, *slot = sys.argv[1:]
    if what == "run":
        return run(settings)
    _ours, lifeline = multiprocessing.Pipe()
    options = logs.LogOptions("json", settings.log_level)
    arguments = (settings, int(slot[0])) if slot else (settings,)
    child_main.main(" ".join(sys.argv[1:]), f"tracker.{what}:run", arguments, lifeline, options)
    return 1


if __name__ == "__main__":
    sys.exit(main())
