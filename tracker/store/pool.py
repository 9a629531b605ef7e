"""What belongs to one process, and stays alone in those that are forked from it.

A forked process has its parent's connections as they were: the same sockets, locks that a thread may have
held, and none of the threads that served them. It must neither use nor close them: both would write into the
parent's conversation with the server.
"""

import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Generator
from typing import TypeVar

from psycopg_pool import ConnectionPool

from tracker.errors import TrackerError

T = TypeVar("T")


class OwnPool:
    """A pool of connections; in a forked process, another one."""

    def __init__(self, make: Callable[[], ConnectionPool]) -> None:
        self._make = make
        self._pool = make()
        self._is_open = False
        self._pid = os.getpid()
        self._lock = threading.Lock()
        _pools.add(self)

    def open(self) -> None:
        """Connect."""
        self.get().open()
        self._is_open = True

    def close(self) -> None:
        """Disconnect what this process has connected."""
        self._is_open = False
        if self._pid == os.getpid():
            self._pool.close()

    def get(self) -> ConnectionPool:
        """Return the pool of this process, open if its parent's was."""
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self._pool = self._make()
                    if self._is_open:
                        self._pool.open()
                    self._pid = os.getpid()
        return self._pool

    def leave(self) -> None:
        """Let the parent's pool be, in a process that was just forked."""
        self._lock = threading.Lock()  # a thread that is not here may have held it
        _leave(self._pool)


def own_items(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Pass on what comes over a connection, in the process that began it alone."""
    pid = os.getpid()
    _listings.add(items)
    try:
        for item in items:
            yield item
            if os.getpid() != pid:
                raise TrackerError("this listing was begun by another process; begin one in each")
    finally:
        if os.getpid() == pid:
            items.close()


_pools: "weakref.WeakSet[OwnPool]" = weakref.WeakSet()
_listings: "weakref.WeakSet[Generator[object, None, None]]" = weakref.WeakSet()


def _leave_what_is_the_parents() -> None:
    for pool in list(_pools):
        pool.leave()
    for listing in list(_listings):
        _leave(listing)


def _leave(thing: object) -> None:
    """Keep a thing for ever: at its end it would stop threads that are not here, or speak to the server."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


os.register_at_fork(after_in_child=_leave_what_is_the_parents)
