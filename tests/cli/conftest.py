"""Runs the command line in the tests' own process."""

import io
import json
import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tracker.cli import main


class Result(NamedTuple):
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]


Command = Callable[..., Result]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], database_url: str
) -> Command:
    """Run ``tracker`` with these arguments on the test's database; `stdin` is bytes."""
    for name in os.environ:
        if name.startswith(("TRACKER_", "CAF_", "JOB_SERVICE_", "PG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TRACKER_DATABASE_URL", database_url)

    def run(*arguments: str, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "argv", ["tracker", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Result(status, out, err)

    return run
