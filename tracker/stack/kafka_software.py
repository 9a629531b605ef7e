"""Finds a Kafka broker: in `KAFKA_HOME`, or with Maven once, and then in the user's cache folder."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tracker.errors import StackError
from tracker.stack.cache import cache_directory, filled
from tracker.stack.kafka import KafkaCluster, KafkaSoftware, write_properties
from tracker.stack.lifetime import Watchdog
from tracker.stack.server import clean_environment, run_to_end

OLDEST_JAVA = 17
OLDEST_KAFKA = 4
OTHERWISE = "or start deploy/compose.yaml and name its broker in TRACKER_KAFKA_BOOTSTRAP_SERVERS"
Say = Callable[[str], None]


def find_kafka(say: Say) -> KafkaSoftware:
    """Return a broker's software, prepared for fast starts; fetch and prepare it the first time, and say so.

    :raises StackError: something is missing; the text says what to install.
    """
    java, java_version = _find_java()
    jars = _jars_of_kafka_home() or _jars_of_cache(say)
    software = KafkaSoftware(java, jars)
    key = hashlib.sha256(repr((java_version, [(str(jar), jar.stat().st_size) for jar in jars])).encode())
    prepared = filled(
        cache_directory() / f"kafka-start-{key.hexdigest()[:16]}",
        lambda folder: _prepare(software, folder, say),
    )
    archive = prepared / "classes.jsa"
    return replace(
        software,
        checkpoint=prepared / "bootstrap.checkpoint",
        class_archive=archive if archive.exists() else None,
    )


def _find_java() -> tuple[Path, str]:
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is not None:
        shown = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
        release = re.search(r'version "(\d+)', shown)
        if release and int(release[1]) >= OLDEST_JAVA:
            return Path(found), shown
    where = f"at JAVA_HOME ({home})" if home else "on the PATH"
    raise StackError(
        f"Kafka needs Java {OLDEST_JAVA} or later, but there is none {where}: "
        f"install it (on Debian and Ubuntu: openjdk-17-jre-headless), {OTHERWISE}."
    )


def _jars_of_kafka_home() -> tuple[Path, ...]:
    home = os.environ.get("KAFKA_HOME")
    if not home:
        return ()
    jars = tuple(sorted(Path(home, "libs").glob("*.jar")))
    versions = [
        int(match[1]) for jar in jars if (match := re.match(r"kafka_[\d.]+-(\d+)\.[\d.]+\.jar", jar.name))
    ]
    if not versions or versions[0] < OLDEST_KAFKA:
        raise StackError(
            f"KAFKA_HOME is {home}, but there is no Kafka {OLDEST_KAFKA} or later in its folder libs."
        )
    return jars


def _jars_of_cache(say: Say) -> tuple[Path, ...]:
    pom = Path(__file__).with_name("pom.xml")
    version = re.search(r"<kafka.version>(.*)</kafka.version>", pom.read_text())
    assert version is not None
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:8]
    folder = filled(
        cache_directory() / f"kafka-{version[1]}-{digest}",
        lambda folder: _fetch(pom, version[1], folder, say),
    )
    return tuple(sorted(folder.glob("*.jar")))


def _fetch(pom: Path, version: str, folder: Path, say: Say) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError(
            "Kafka is fetched with Maven, but there is none on the PATH: "
            "install it (on Debian and Ubuntu: maven), "
            f"or unpack Kafka and name its folder in KAFKA_HOME, {OTHERWISE}."
        )
    say(f"Fetching Kafka {version} with Maven (43 MB, once) ...")
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    # A copy, because Maven may write beside the file that it reads, and the package may not be writable.
    work = folder / "maven"
    work.mkdir()
    shutil.copy(pom, work / "pom.xml")
    command: list[str | Path] = [
        maven,
        "--quiet",
        "--batch-mode",
        "--strict-checksums",
        "--file",
        work / "pom.xml",
        *goal,
    ]
    run_to_end(command, "Fetching Kafka with Maven", directory=work, environment=dict(os.environ))
    shutil.rmtree(work)


def _prepare(software: KafkaSoftware, folder: Path, say: Say) -> None:
    say("Preparing Kafka for fast starts (some seconds, once) ...")
    work = folder / "work"
    _format(software, work)
    shutil.move(work / "data" / "bootstrap.checkpoint", folder)
    software = replace(software, checkpoint=folder / "bootstrap.checkpoint")
    _archive_classes(software, work, folder / "classes.jsa")
    shutil.rmtree(work)


def _format(software: KafkaSoftware, work: Path) -> None:
    work.mkdir()
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": "1@127.0.0.1:1",
        "controller.listener.names": "CONTROLLER",
        "listeners": "CLIENTS://127.0.0.1:2,CONTROLLER://127.0.0.1:1",
        "inter.broker.listener.name": "CLIENTS",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(work / "data"),
    }
    write_properties(work / "server.properties", properties)
    tool = (
        "kafka.tools.StorageTool",
        "format",
        "-t",
        "AAAAAAAAAAAAAAAAAAAAAQ",
        "-c",
        work / "server.properties",
    )
    run_to_end(
        software.command(*tool), "Formatting Kafka's storage", directory=work, environment=clean_environment()
    )


def _archive_classes(software: KafkaSoftware, work: Path, archive: Path) -> None:
    watchdog = Watchdog()
    option = f"-XX:ArchiveClassesAtExit={archive}"
    cluster = KafkaCluster(work, software, heap="512m", java_options=[option], watchdog=watchdog)
    try:
        cluster.start()
        cluster.brokers[0].stop()
    except StackError:
        # A Java that cannot create an archive still starts Kafka, a second later. If it cannot start Kafka at
        # all, the start that follows says so.
        archive.unlink(missing_ok=True)
    finally:
        cluster.kill()
        watchdog.close()
