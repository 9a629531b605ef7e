"""Named points in the code at which a test can make the process die, freeze, fail or wait.

They cost a look-up in an empty dict, a few times a batch, and do nothing unless the environment variable
`FAILPOINTS` names a file. Each of its lines is ``point action [after]``. When the process reaches the point
for the `after`-th time (1 by default), and only then, it is killed (``kill``), freezes (``stop``), raises
(``raise``) or sleeps (``sleep:0.5``, in seconds). This is not for production: `tracker run` logs a warning if
it is set.
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path

from tracker.logs import get_logger

VARIABLE = "FAILPOINTS"

POINTS = (
    "after-poll",
    "inside-database-transaction",
    "before-database-commit",
    "after-database-commit",
    "after-begin",
    "after-produce",
    "after-offsets",
    "after-kafka-commit",
    "before-outbox-cleared",
    "scheduler-after-database-commit",
    "scheduler-after-kafka-commit",
    "retention-after-jobs",
    "letters-before-kafka-commit",
    "letters-after-kafka-commit",
)
"""In the order in which a batch reaches them; then three of the scheduler, and those of commands."""


class FailpointReached(Exception):
    """Raised at a failpoint whose action is ``raise``."""


_actions: dict[str, tuple[str, int]] = {}
_reached: Counter[str] = Counter()


def load() -> None:
    """Read the file that the environment names, if it names one, and log a warning; called once a process.

    :raises ValueError: a line names an unknown point or action.
    """
    _actions.clear()
    _reached.clear()
    file = os.environ.get(VARIABLE)
    if not file:
        return
    get_logger().warning("failpoints are set: this process may die, freeze or fail on purpose", file=file)
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        if line.strip():
            point, action, *after = line.split()
            if point not in POINTS or action.partition(":")[0] not in ("kill", "stop", "raise", "sleep"):
                raise ValueError(f"not a failpoint: {line}")
            _actions[point] = action, int(after[0]) if after else 1


def reach(point: str) -> None:
    """Do what a test has set for this point, if anything."""
    if _actions and point in _actions:
        _act(point)


def _act(point: str) -> None:
    action, after = _actions[point]
    _reached[point] += 1
    if _reached[point] != after:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "raise":
        raise FailpointReached(point)
    else:
        time.sleep(float(action.partition(":")[2]))
