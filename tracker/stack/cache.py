"""The user's cache folder, and how several programs at once fill it without disturbing each other."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def cache_directory() -> Path:
    """Return this program's folder among the user's caches; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "job-tracker"


def filled(directory: Path, fill: Callable[[Path], None]) -> Path:
    """Return the folder; if it is not there yet, have it filled first.

    It appears whole or not at all. When several programs ask for it at once, one fills it and the others
    wait.
    """
    if directory.is_dir():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_name(directory.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.is_dir():
            partial = directory.with_name(directory.name + ".partial")
            # Left there by a program that was killed: nobody else works on it, since we hold the lock.
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            fill(partial)
            partial.rename(directory)
    return directory
