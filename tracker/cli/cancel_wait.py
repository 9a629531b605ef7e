"""What `tracker job cancel --wait` does after the cancel."""

import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from tracker.cli.asking import were
from tracker.cli.output import counted, print_json
from tracker.cli.progress_bar import progress_bar
from tracker.errors import TrackerError, WaitTimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker import Client
    from tracker.jobs.on_the_way import DropCount
    from tracker.kafka.group_lag import Backlog
    from tracker.settings import Settings

_EVERY_S = 0.25


@dataclass(frozen=True)
class Wait:
    """What `--wait` asks for, and what counts the messages that are dropped meanwhile."""

    settings: "Settings"
    timeout_s: float | None
    drops: "DropCount"


def read_wait(wait: bool, timeout_s: float | None) -> Wait | None:
    """Read the options, and the settings, so that nothing is cancelled where these are wrong.

    :raises SettingsError: something in the environment is wrong, or no brokers are named.
    """
    if timeout_s is not None and not wait:
        raise typer.BadParameter("--timeout is for --wait")
    if not wait:
        return None
    from tracker.jobs.on_the_way import DropCount
    from tracker.settings import load

    return Wait(load(need={"kafka", "database"}), timeout_s, DropCount())


def wait_until_passed(client: "Client", wait: Wait, *, json: bool) -> int:
    """Wait until no message from before the cancel can be forwarded any more, and say how many were dropped.

    Returns the exit status.

    :raises WaitTimedOut: the time is up.
    :raises TrackerError: it is not known whether any message is left.
    """
    from tracker.jobs.on_the_way import read_send_numbers
    from tracker.kafka.group_lag import Backlog

    numbers = read_send_numbers()
    sys.stdout.flush()  # it says already what was cancelled
    try:
        last = client.run(numbers).last
        with closing(Backlog(wait.settings)) as backlog:
            _wait(client, wait, backlog, lambda: client.run(numbers).sent >= last)
        dropped = client.run(wait.drops.count())
    except WaitTimedOut:
        raise
    except TrackerError as error:
        raise TrackerError(
            f"{error}; the cancel is done, and messages from before it may still be forwarded: do it again to"
            " wait for them"
        ) from error
    except KeyboardInterrupt:
        print("\nStopped; the cancel is done.", file=sys.stderr)
        return 130
    if json:
        print_json([{"droppedOnTheWay": dropped}])
    else:
        print(f"Nothing from before is forwarded any more; {_dropped_text(dropped)} on the way.")
    return 0


def _wait(client: "Client", wait: Wait, backlog: "Backlog", is_sent: "Callable[[], bool]") -> None:
    deadline = None if wait.timeout_s is None else time.monotonic() + wait.timeout_s
    left = backlog.count_left()
    with suppress(TrackerError):  # that brokers do not say it changes nothing
        if left and not backlog.is_read():
            group_id = wait.settings.group_id
            print(f"No tracker reads the messages: the group {group_id} has no members.", file=sys.stderr)
    with progress_bar("Waiting for the tracker", backlog.records) as show:
        while left or not is_sent():
            show(backlog.records - left)
            rest_s = _EVERY_S if deadline is None else deadline - time.monotonic()
            if rest_s <= 0:
                raise WaitTimedOut(_too_late(left, client.run(wait.drops.count())))
            time.sleep(min(rest_s, _EVERY_S))
            left = backlog.count_left()


def _too_late(left: int, dropped: int) -> str:
    if left:
        what = f"the tracker has not read {counted(left, 'record')} from before the cancel"
    else:
        what = "the scheduler has not ended what it was sending at the cancel"
    return f"the time is up, and {what}; {_dropped_text(dropped)} until now, and the cancel is done"


def _dropped_text(dropped: int) -> str:
    return f"{counted(dropped, 'message')} {were(dropped)} dropped"
