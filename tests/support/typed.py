"""Commands as a user types them, each in a process of its own, with a deployment's settings."""

import subprocess
import sys
from typing import NamedTuple, Self

from tests.support.deployment import Deployment
from tests.support.kafka import DEADLINE_S
from tests.support.program import ROOT
from tracker.stack.server import clean_environment


class Typed(NamedTuple):
    """What a command has printed, and its exit status."""

    status: int
    out: str
    err: str


class TypedCommand:
    """A command that runs; as a context, it is not left running."""

    def __init__(self, tracker: Deployment, *arguments: str, **variables: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tracker", *arguments],
            cwd=ROOT,
            env=clean_environment(PYTHONPATH=str(ROOT), **{**tracker.variables, **variables}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait_for(self, text: str) -> None:
        """Wait until it has printed a line on stderr that has this text."""
        assert self._process.stderr is not None
        while (line := self._process.stderr.readline()) and text not in line:
            pass
        assert line, f"it ended without {text!r}"

    def end(self) -> Typed:
        """Wait for its end."""
        out, err = self._process.communicate(timeout=DEADLINE_S)
        assert "Traceback" not in err, err
        return Typed(self._process.returncode, out, err)


def type_command(tracker: Deployment, *arguments: str, **variables: str) -> Typed:
    """Run a command to its end."""
    with TypedCommand(tracker, *arguments, **variables) as command:
        return command.end()
