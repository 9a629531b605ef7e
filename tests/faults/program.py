"""The tracker as the fault tests start it: ``run``, or one worker or scheduler without a supervisor.

A planted bug or a wrong clock is put in when this module is imported. The children of ``run`` import it too,
since it is the main module of the process that spawns them.
"""

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from tests.faults import clock, planted
from tests.faults.program_settings import ASK_AGAIN_S
from tracker import logs
from tracker.kafka import dead_letters
from tracker.lifeline import ChildReport
from tracker.pipeline import poll_loop
from tracker.settings import load
from tracker.supervisor import child_main
from tracker.supervisor.run import run

# In a round it is never quiet for a second, and passing markers is to meet faults as well.
poll_loop._QUIET_S = 0.1
dead_letters._ASK_AGAIN_S = ASK_AGAIN_S  # a minute else
faulthandler.register(signal.SIGUSR1)  # asks a process that hangs where it does
planted.plant(os.environ.get(planted.VARIABLE, ""))
if os.environ.get(clock.VARIABLE):
    clock.put_wrong(Path(os.environ[clock.VARIABLE]))


def _supervise(ours: Connection) -> None:
    """Do for this process what a supervisor does: end it where it says itself that a call of it hangs."""
    while True:
        report: ChildReport = ours.recv()
        if report.status.hangs:
            print(f'{{"event": "killed, as a supervisor would: hangs in {report.status.hangs}"}}', flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    settings = load()
    what, *slot = sys.argv[1:]
    if what == "run":
        return run(settings)
    ours, lifeline = multiprocessing.Pipe()
    threading.Thread(target=_supervise, args=[ours], name="supervisor", daemon=True).start()
    options = logs.LogOptions("json", settings.log_level)
    arguments = (settings, int(slot[0])) if slot else (settings,)
    child_main.main(" ".join(sys.argv[1:]), f"tracker.{what}:run", arguments, lifeline, options)
    return 1


if __name__ == "__main__":
    sys.exit(main())
