"""Set up what the peers need, below ``build/peers``: a virtual environment, and the Java program.

Each folder has the digest of its sources in its name, and is set up again after they have changed.
"""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.errors import BenchError
from tracker.errors import StackError
from tracker.stack.cache import filled
from tracker.stack.server import run_to_end

Say = Callable[[str], None]

_HERE = Path(__file__).parent
BUILD = _HERE.parent.parent / "build" / "peers"
LOCK = _HERE / "requirements.lock"
KAFKA_STREAMS = _HERE / "kafka-streams"
_MAIN_CLASS = "peers.CountAndForward"


class PeerMissing(BenchError):
    """A peer cannot be set up here; the text is a sentence that says what is missing."""


def python_command(module: str, say: Say) -> Sequence[str | Path]:
    """Return the command of a Python peer; set its environment up at the first time.

    :raises PeerMissing: its packages cannot be installed.
    """
    folder = BUILD / f"python-{digest([LOCK])}"
    try:
        filled(folder, lambda partial: _install(partial, say))
    except StackError as error:
        raise PeerMissing(str(error)) from None
    return [folder / "bin" / "python", "-m", module]


def kafka_streams_command(say: Say) -> Sequence[str | Path]:
    """Return the command of Kafka Streams; build its program at the first time.

    :raises PeerMissing: Java's compiler or Maven is missing, or fails.
    """
    sources = [path for path in sorted(KAFKA_STREAMS.rglob("*")) if path.is_file()]
    folder = BUILD / f"kafka-streams-{digest(sources)}"
    try:
        filled(folder, lambda partial: _build(partial, say))
    except StackError as error:
        raise PeerMissing(str(error)) from None
    path = f"{folder / 'target' / 'classes'}{os.pathsep}{folder / 'target' / 'libraries'}/*"
    return [_java("java"), "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", path, _MAIN_CLASS]


def versions() -> dict[str, str]:
    """Return the version of each peer, as its lock or its pom.xml pins it."""
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", LOCK.read_text(), re.MULTILINE))
    kafka = re.search(r"<kafka.version>(.*)</kafka.version>", (KAFKA_STREAMS / "pom.xml").read_text())
    assert kafka is not None
    return {
        "aiokafka": pinned["aiokafka"],
        "Quix Streams": pinned["quixstreams"],
        "Kafka Streams": kafka[1],
    }


def _install(folder: Path, say: Say) -> None:
    say("Installing aiokafka and Quix Streams (30 MB, once) ...")
    environment = dict(os.environ)
    run_to_end(
        [sys.executable, "-m", "venv", folder],
        "Creating the peers' virtual environment",
        directory=folder,
        environment=environment,
    )
    pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    run_to_end(
        [*pip, "--quiet", "--no-input", "install", "--require-hashes", "-r", LOCK],
        "Installing the peers with pip",
        directory=folder,
        environment=environment,
    )


def _build(folder: Path, say: Say) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise PeerMissing(
            "It is built with Maven, but there is none on the PATH: install it (on Debian and Ubuntu: maven)"
        )
    _java("javac")
    say("Building the program of Kafka Streams with Maven (80 MB, once) ...")
    shutil.copytree(KAFKA_STREAMS, folder, dirs_exist_ok=True)
    goals = ["compile", "dependency:copy-dependencies", "-DincludeScope=runtime"]
    run_to_end(
        [
            maven,
            "--quiet",
            "--batch-mode",
            "--strict-checksums",
            *goals,
            "-DoutputDirectory=target/libraries",
        ],
        "Building the program of Kafka Streams with Maven",
        directory=folder,
        environment=dict(os.environ),
    )


def _java(name: str) -> str:
    """Return the path of one of Java's programs."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(name, path=f"{home}/bin") if home else shutil.which(name)
    if found is None:
        where = f"at JAVA_HOME ({home})" if home else "on the PATH"
        raise PeerMissing(
            f"It needs the JDK of Java 17 or later, but there is no {name} {where}: install it"
            " (on Debian and Ubuntu: openjdk-17-jdk-headless)"
        )
    return found


def digest(files: Sequence[Path]) -> str:
    """Return a digest of files, and of the version of Python, for the name of a folder."""
    found = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for path in files:
        found.update(path.read_bytes())
    return found.hexdigest()[:12]
