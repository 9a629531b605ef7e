"""The program of the last release: the commit that `tests/released` names, built from git."""

import io
import subprocess
import sys
import tarfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.support.kafka import DEADLINE_S
from tests.support.program import Program
from tracker.stack.server import clean_environment

ROOT = Path(__file__).parents[2]
LOCK = "requirements.lock"


class ReleasedProgram(NamedTuple):
    """Where its source is, and a Python that has the packages that it needs."""

    python: Path
    root: Path

    def start(self, variables: Mapping[str, str]) -> Program:
        """Start its `tracker run`."""
        return Program(variables, python=str(self.python), root=self.root)

    def run(self, variables: Mapping[str, str], *arguments: str, text: str = "") -> str:
        """Run a command of it that must succeed, with this text as its stdin, and return its stdout."""
        return self.output("-m", "tracker", *arguments, text=text, **variables)

    def output(self, *arguments: str, text: str = "", **variables: str) -> str:
        """Run its Python, which must succeed, and return its stdout."""
        done = subprocess.run(
            [self.python, *arguments],
            cwd=self.root,
            env=clean_environment(**{**variables, "PYTHONPATH": str(self.root)}),
            input=text,
            text=True,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def released(folder: Path) -> ReleasedProgram | None:
    """Build it in a folder; None: the history is not there, as in a shallow clone or an archive."""
    _, commit = (ROOT / "tests" / "released").read_text().split()
    archived = subprocess.run(["git", "-C", ROOT, "archive", commit], capture_output=True, check=False)
    if archived.returncode:
        return None
    source = folder.resolve() / "source"
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(source, filter="data")
    program = ReleasedProgram(_python_for(source, folder), source)
    assert (
        program.output("-c", "import tracker; print(tracker.__file__)") == f"{source}/tracker/__init__.py\n"
    )
    return program


def _python_for(source: Path, folder: Path) -> Path:
    if (source / LOCK).read_bytes() == (ROOT / LOCK).read_bytes():
        return Path(sys.executable)  # it has the same packages, and the source that is named comes first
    python = folder / "environment" / "bin" / "python"
    venv.create(folder / "environment", with_pip=True)
    options = ("--quiet", "--disable-pip-version-check", "--require-hashes")
    subprocess.run(
        [python, "-m", "pip", "install", *options, "-r", source / LOCK], check=True, capture_output=True
    )
    return python
