"""Named stacks, which outlive the command that started them: for `tracker stack up`, `env` and `down`.

While a stack is up, the user's state folder contains NAME.json, with its addresses and its processes, and the
folder NAME, with its data. Neither remains when the stack is down.
"""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracker.errors import StackError
from tracker.stack.kafka_software import Say
from tracker.stack.lifetime import ProcessIdentity, end_all
from tracker.stack.local import DATABASE_VARIABLE, KAFKA_VARIABLE, LocalStack


@dataclass(frozen=True)
class NamedStack:
    """A stack that this command or an earlier one has started."""

    name: str
    environment: dict[str, str]
    servers: tuple[tuple[ProcessIdentity, int], ...]

    def is_up(self) -> bool:
        """Return whether all its servers are running."""
        return all(identity.is_running() for identity, _ in self.servers)


def bring_up(name: str, environment: Mapping[str, str], *, brokers: int, say: Say) -> tuple[NamedStack, bool]:
    """Return the stack of this name, and whether this call has started it.

    Servers that the environment names are used, and not started. The rest of a stack that has died, after a
    reboot for example, is removed first.
    """
    folder = _state_folder(name)
    with _locked(folder):
        found = _read(folder, name)
        if found is not None and found.is_up():
            return found, False
        _remove(folder, found)
        stack = LocalStack(
            folder,
            brokers=brokers,
            bootstrap_servers=environment.get(KAFKA_VARIABLE) or None,
            database_url=environment.get(DATABASE_VARIABLE) or None,
            say=say,
        )
        stack.start()
        try:
            started = NamedStack(name, stack.environment(), tuple(stack.servers()))
            _write(folder, started)
        except BaseException:
            stack.stop()
            raise
        stack.disown()
        return started, True


def take_down(name: str) -> bool:
    """End the stack of this name and remove its data; return whether there was one."""
    folder = _state_folder(name)
    with _locked(folder):
        found = _read(folder, name)
        _remove(folder, found)
        return found is not None


def find(name: str) -> NamedStack:
    """Return the stack of this name.

    :raises StackError: it is not up.
    """
    found = _read(_state_folder(name), name)
    option = "" if name == "default" else f" --name {name}"
    if found is None:
        raise StackError(f"No stack {name} is up; `tracker stack up{option}` starts it.")
    if not found.is_up():
        raise StackError(f"The stack {name} has died; `tracker stack up{option}` starts a new one.")
    return found


def _state_folder(name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,50}", name):
        raise StackError(f"A stack's name is 1 to 50 letters, digits, - or _, and not {name!r}.")
    state_home = os.environ.get("XDG_STATE_HOME")
    if state_home:
        home = Path(state_home)
    elif os.geteuid() == 0:
        # Not in root's home: PostgreSQL runs as another user, which may not enter that folder.
        home = Path("/var/lib")
    else:
        home = Path.home() / ".local" / "state"
    return home / "job-tracker" / "stacks" / name


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f"{folder.name}.lock")
    while True:
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # The previous holder removes the file, and another program may have created a new one: the lock
            # on the removed file excludes nobody.
            if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                try:
                    yield
                finally:
                    path.unlink()
                return


def _read(folder: Path, name: str) -> NamedStack | None:
    try:
        text = folder.with_name(f"{name}.json").read_text()
    except FileNotFoundError:
        return None
    state: dict[str, Any] = json.loads(text)
    servers = tuple(
        (ProcessIdentity(server["pid"], server["started"]), server["signal"]) for server in state["servers"]
    )
    return NamedStack(name, state["environment"], servers)


def _write(folder: Path, stack: NamedStack) -> None:
    servers = [
        {"pid": identity.pid, "started": identity.started, "signal": int(signal_number)}
        for identity, signal_number in stack.servers
    ]
    partial = folder.with_name(f"{stack.name}.json.partial")
    partial.unlink(missing_ok=True)
    # Other users must not read it, because it has the password of the database.
    partial.touch(mode=0o600)
    partial.write_text(json.dumps({"environment": stack.environment, "servers": servers}, indent=2) + "\n")
    partial.rename(folder.with_name(f"{stack.name}.json"))


def _remove(folder: Path, stack: NamedStack | None) -> None:
    if stack is not None:
        end_all(stack.servers)
    if folder.exists():
        shutil.rmtree(folder)
    folder.with_name(f"{folder.name}.json").unlink(missing_ok=True)
