"""What runs first in a child process."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tracker import logs
from tracker.errors import SchemaMismatch, SettingsError, TrackerError
from tracker.lifeline import ExitStatus, Lifeline

# How long it may take to finish its batch after its supervisor has died. The promise is 5 s, with the time to
# notice the death.
_ORPHAN_LIMIT_S = 4


def main(name: str, target: str, args: tuple[Any, ...], connection: Connection, log: logs.LogOptions) -> None:
    """Run ``target(*args, lifeline)``, where target is ``module:function``, and exit with what it returns."""
    # The whole process group gets the signals of Ctrl-C, and of a terminal that goes away, but only the
    # supervisor decides. SIGTERM was blocked before this process began, so that none is lost. It stays
    # blocked for a thread that waits for it.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP})
    logs.configure(name, log)
    lifeline = Lifeline(connection, on_orphaned=_limit_time)
    threading.Thread(target=_stop_on_sigterm, args=[lifeline], name="sigterm", daemon=True).start()
    status = _run(target, args, lifeline)
    lifeline.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is finished. A library's thread, or its clean-up, must not keep the process alive.
    os._exit(status)


def _limit_time() -> None:
    """Kill this process after a while; the kernel does it even if no Python thread can run any more."""
    signal.alarm(_ORPHAN_LIMIT_S)


def _run(target: str, args: tuple[Any, ...], lifeline: Lifeline) -> int:
    log = logs.get_logger()
    try:
        return _function(target)(*args, lifeline)
    except (SettingsError, SchemaMismatch) as error:
        log.error(str(error))
        return ExitStatus.REFUSED
    except TrackerError as error:
        log.error(str(error))
        return ExitStatus.FAILED
    except BaseException as error:
        log.critical("unexpected error", exc_info=error)
        return ExitStatus.FAILED


def _function(target: str) -> Callable[..., int]:
    module, _, function = target.partition(":")
    found: Callable[..., int] = getattr(importlib.import_module(module), function)
    return found


def _stop_on_sigterm(lifeline: Lifeline) -> None:
    signal.sigwait({signal.SIGTERM})
    lifeline.stopping.set()
