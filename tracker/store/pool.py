"""Pools and listings that belong to one process, and that processes forked from it leave alone.

A forked process inherits its parent's connections: the same sockets, with locks that a thread may have held,
but without the threads that served them. It must neither use nor close them: both would write to the parent's
connection to the server.
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


class ProcessPool:
    """A pool of connections. A forked process gets another one."""

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
        """Close the connections that this process has opened."""
        self._is_open = False
        if self._pid == os.getpid():
            self._pool.close()

    def get(self) -> ConnectionPool:
        """Return the pool of this process; it is open if its parent's was."""
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self._pool = self._make()
                    if self._is_open:
                        self._pool.open()
                    self._pid = os.getpid()
        return self._pool

    def abandon(self) -> None:
        """Abandon the parent's pool, in a process that was just forked."""
        self._lock = threading.Lock()  # a thread that this process lacks may have held it
        _keep_for_ever(self._pool)


def process_items(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Yield the items that arrive over a connection, but only in the process that has started it."""
    pid = os.getpid()
    _listings.add(items)
    try:
        for item in items:
            yield item
            if os.getpid() != pid:
                raise TrackerError("this listing was started by another process; start one in each")
    finally:
        if os.getpid() == pid:
            items.close()


_pools: "weakref.WeakSet[ProcessPool]" = weakref.WeakSet()
_listings: "weakref.WeakSet[Generator[object, None, None]]" = weakref.WeakSet()


def _abandon_all() -> None:
    for pool in list(_pools):
        pool.abandon()
    for listing in list(_listings):
        _keep_for_ever(listing)


def _keep_for_ever(inherited: object) -> None:
    """Never free an object: its finalizer would stop threads that do not exist, or write to the server."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))


os.register_at_fork(after_in_child=_abandon_all)
