"""The tracker as the fault tests start it: ``run``, or one worker or scheduler without a supervisor.

Importing this module plants the mistake and sets the wrong clock. The children of ``run`` import it too,
because it is the main module of the process that spawns them.
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

# A round is never quiet for a second, and faults must be able to hit the passing of markers as well.
poll_loop._QUIET_S = 0.1
dead_letters._ASK_AGAIN_S = ASK_AGAIN_S  # otherwise a minute
faulthandler.register(signal.SIGUSR1)  # shows where a process hangs
planted.plant(os.environ.get(planted.VARIABLE, ""))
if os.environ.get(clock.VARIABLE):
    clock.set_wrong(Path(os.environ[clock.VARIABLE]))


def _supervise(ours: Connection) -> None:
    """End this process, as a supervisor does, when it reports that one of its calls hangs."""
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
    target = {"worker": "tracker.pipeline:run", "scheduler": "tracker.scheduler:run"}[what]
    child_main.main(" ".join(sys.argv[1:]), target, arguments, lifeline, options)
    return 1


if __name__ == "__main__":
    sys.exit(main())
