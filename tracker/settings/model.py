"""Every setting, declared once: its type, default, bounds, unit, alias and meaning."""

import os
import re
import socket
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tracker.errors import SettingsError
from tracker.settings.database import MISSING, Database
from tracker.settings.kafka import KafkaProperty, effective
from tracker.settings.values import (
    Host,
    MemberName,
    Patterns,
    PortOrNone,
    SecondsOrNone,
    Topic,
    Topics,
    Truth,
    Url,
    WholeNumber,
    Word,
)


@dataclass(frozen=True)
class About:
    """What users read about a setting."""

    theme: str
    meaning: str
    unit: str = ""
    alias: str | None = None
    computed_default: str | None = None  # in words, if the default depends on the machine


def available_cpus() -> int:
    """Return the number of CPUs that this process may use; in a container, fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def host_name() -> str:
    """Return the host's name, with `-` for each character that a member ID must not have."""
    return re.sub(r"[^a-zA-Z0-9._-]", "-", socket.gethostname())[:100] or "localhost"


class Settings(BaseModel):
    """The effective settings: immutable, picklable, and without secrets when printed.

    Get them from `load`. A worker process receives them, and does not read the environment again; only libpq
    does, for the `PG*` variables.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    topics: Annotated[
        Topics,
        About(
            "Topics",
            "The tracking topics, which the tracker consumes. The first is the `trackingPipe` of the task "
            "messages that the tracker itself sends.",
            alias="CAF_WORKER_INPUT_QUEUE",
        ),
    ] = ("tracking",)
    dead_letter_topic: Annotated[
        Topic,
        About(
            "Topics",
            "The topic for records that cannot be honoured, with the reason. It is not a tracking topic.",
        ),
    ] = "tracker-dead-letter"
    destinations: Annotated[
        Patterns,
        About(
            "Topics",
            "The topics that messages may be forwarded to. Empty: any legal topic. Tracking topics, the "
            "dead-letter topic and Kafka's internal topics are never allowed.",
        ),
    ] = ()
    max_message_bytes: Annotated[
        WholeNumber,
        Field(ge=1, le=100_000_000),
        About("Topics", "A record with a larger value becomes a dead letter.", unit="bytes"),
    ] = 1_000_000

    group_id: Annotated[
        MemberName, About("Processes", "The consumer group; also the prefix of the transactional IDs.")
    ] = "tracker"
    instance: Annotated[
        MemberName,
        About(
            "Processes",
            "The name of this machine in its group. With a slot number, it makes the transactional IDs and "
            "member IDs of the workers, which are stable.",
            computed_default="the host name",
        ),
    ] = Field(default_factory=host_name)
    workers: Annotated[
        WholeNumber,
        Field(ge=1, le=1024),
        About(
            "Processes",
            "Worker processes of one `tracker run`.",
            unit="processes",
            computed_default="the number of CPUs that the process may use",
        ),
    ] = Field(default_factory=available_cpus)
    shutdown_timeout_s: Annotated[
        WholeNumber,
        Field(ge=1, le=3600),
        About("Processes", "The longest time from SIGTERM to exit.", unit="seconds"),
    ] = 25
    delivery: Annotated[
        Literal["exactly_once", "at_least_once"],
        Word,
        About(
            "Processes",
            "`at_least_once` is for brokers without transactions: a crash may forward messages twice.",
        ),
    ] = "exactly_once"

    batch_size: Annotated[
        WholeNumber,
        Field(ge=1, le=1_000_000),
        About(
            "Batches",
            "A batch ends when it has this many records.",
            unit="records",
            alias="CAF_WORKER_MAX_BATCH_SIZE",
        ),
    ] = 10_000
    batch_bytes: Annotated[
        WholeNumber,
        Field(ge=1024, le=1_073_741_824),
        About("Batches", "A batch ends when its records reach this size.", unit="bytes"),
    ] = 16_777_216
    batch_wait_ms: Annotated[
        WholeNumber,
        Field(ge=0, le=60_000),
        About(
            "Batches",
            "How long a batch that is not full waits for more records while the batch before it is worked "
            "on. If there is none, it does not wait.",
            unit="milliseconds",
            alias="CAF_WORKER_MAX_BATCH_TIME",
        ),
    ] = 20

    propagate_failures: Annotated[
        Truth,
        About(
            "Jobs",
            "When a job fails, mark the jobs that depend on it, directly or not, as failed too.",
            alias="CAF_JOB_TRACKING_PROPAGATE_FAILURES",
        ),
    ] = False
    max_failure_chars: Annotated[
        WholeNumber,
        Field(ge=1, le=1_000_000),
        About(
            "Jobs", "A longer failure message is cut, and ends with a note that says so.", unit="characters"
        ),
    ] = 10_000
    service_url: Annotated[
        Url,
        About(
            "Jobs",
            "The URL of the job service. The `statusCheckUrl` of the tracker's own task messages is this, "
            "followed by `/partitions/P/jobs/J/status?run=MARKER`; if it is empty, the path alone.",
            alias="CAF_WEBSERVICE_URL",
        ),
    ] = ""
    status_check_interval_seconds: Annotated[
        WholeNumber,
        Field(ge=1, le=2_147_483),
        About(
            "Jobs",
            "How often workers should check whether a job is still wanted: the "
            "`statusCheckIntervalMillis` of the tracker's own task messages.",
            unit="seconds",
            alias="CAF_STATUS_CHECK_INTERVAL_SECONDS",
        ),
    ] = 5
    retention_s: Annotated[
        SecondsOrNone,
        About(
            "Jobs",
            "How long after their end completed and cancelled jobs are removed. Empty: never.",
            unit="seconds",
        ),
    ] = None
    retention_failed_s: Annotated[
        SecondsOrNone,
        About(
            "Jobs",
            "How long after their last change failed jobs, which could still be repaired, are removed. "
            "Empty: never.",
            unit="seconds",
        ),
    ] = None

    http_host: Annotated[
        Host,
        About("Monitoring", "The address on which `tracker run` serves `/livez`, `/readyz` and `/metrics`."),
    ] = "127.0.0.1"
    http_port: Annotated[
        PortOrNone,
        About("Monitoring", "The port for these. 0: any free port, which is logged. Empty: none are served."),
    ] = 8080
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Word,
        About("Monitoring", "`auto`: `console` on a terminal, otherwise `json`."),
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Word,
        About("Monitoring", "The lowest level that is logged."),
    ] = "info"

    kafka: tuple[KafkaProperty, ...] = ()
    database: Database = Database()
    origins: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    def kafka_client_properties(self) -> dict[str, str]:
        """Return the properties that the user has set for all clients: enough for an admin client."""
        return effective(self.kafka, "client")

    def consumer_properties(self) -> dict[str, str]:
        """Return the properties that the user has set for consumers, which override the common ones."""
        return effective(self.kafka, "consumer")

    def producer_properties(self) -> dict[str, str]:
        """Return the properties that the user has set for producers, which override the common ones."""
        return effective(self.kafka, "producer")

    def database_conninfo(self) -> str:
        """Return the libpq connection string, with secrets; libpq takes the rest from `PG*` variables.

        Call it for each new connection, because it reads the files of secrets again.

        :raises SettingsError: neither the string nor a `PG*` variable names a database.
        """
        if not self.database.names_a_database:
            raise SettingsError(MISSING)
        return self.database.current_conninfo()


@dataclass(frozen=True)
class Variable:
    """A setting that one variable holds, as the model declares it."""

    field: str
    about: About
    annotation: Any
    metadata: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The variable's name."""
        return "TRACKER_" + self.field.upper()

    @property
    def names(self) -> tuple[str, ...]:
        """The name of the variable, and its alias if it has one."""
        return (self.name, self.about.alias) if self.about.alias else (self.name,)

    @property
    def default_text(self) -> str:
        """The default as text for the variable, or in words if it depends on the machine."""
        if self.about.computed_default is not None:
            return self.about.computed_default
        return as_text(Settings.model_fields[self.field].default)


def as_text(value: object) -> str:
    """Return the value of a setting as text for a variable."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


def _variables() -> tuple[Variable, ...]:
    found = []
    for field, info in Settings.model_fields.items():
        about = next((item for item in info.metadata if isinstance(item, About)), None)
        if about is not None:
            found.append(Variable(field, about, info.annotation, tuple(info.metadata)))
    return tuple(found)


VARIABLES = _variables()
