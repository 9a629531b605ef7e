"""The user's cache folder, which several programs can fill at once."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def cache_directory() -> Path:
    """Return this program's folder in the user's cache; it may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "job-tracker"


def filled(directory: Path, fill: Callable[[Path], None]) -> Path:
    """Return the folder; if it does not exist, call `fill` first.

    The folder appears as a whole or not at all. If several programs ask for it at once, one fills it, and the
    others wait.
    """
    if directory.is_dir():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_name(directory.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.is_dir():
            partial = directory.with_name(directory.name + ".partial")
            # A killed program has left it. No other program works on it, because this one holds the lock.
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            fill(partial)
            partial.rename(directory)
    return directory
