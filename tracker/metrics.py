"""Every metric of the tracker, and the recorder with which a process counts them.

The constants below are the whole catalogue. Every metric has a constant here, and ``python -m
tracker.metrics`` prints the page ``docs/metrics.md`` from them. Label values come from the program and its
configuration, never from a message, so that messages cannot increase the number of time series.

Each process has one `Recorder`. The supervisor adds up what its children have recorded, so a counter is the
sum over the processes of one ``tracker run``.
"""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

OTHER = "other"
"""Replaces a label value that the catalogue does not list."""


class Kind(Enum):
    """How a metric behaves, in Prometheus's words."""

    COUNTER = "counter"  # only grows, also when a child is restarted
    GAUGE = "gauge"  # the present value; it disappears with the process that reported it
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """A label. Its value is one of `values`, or, without these, a name from the configuration or a number."""

    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of the catalogue. `name` is the name in Prometheus, without ``_total`` or ``_bucket``."""

    name: str
    kind: Kind
    help: str
    unit: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    def zeros(self) -> Iterable[tuple[str, ...]]:
        """Return the combinations of label values that are known beforehand, so that counters start at 0."""
        return itertools.product(*(label.values for label in self.labels))


def _counter(name: str, help_: str, unit: str, *labels: Label) -> Metric:
    return Metric(name, Kind.COUNTER, help_, unit, labels)


def _gauge(name: str, help_: str, unit: str, *labels: Label) -> Metric:
    return Metric(name, Kind.GAUGE, help_, unit, labels)


# From half a millisecond (one statement on few rows) to a minute (a database with problems).
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_RECORDS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0, 100_000.0)
_BYTES = (1e3, 1e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8)

_ENDED_REASONS = ("cancelled", "failed", "completed", "unknown_job")
_ENDED = Label("reason", _ENDED_REASONS)
_DROPPED_BECAUSE = Label("reason", ("cancelled", "deleted", "completed", "failed", "prerequisite_failed"))
_PROCESS = Label("process")

# What came in, and what became of it.

MESSAGES = _counter(
    "tracker_messages",
    "Records read, by what they were and what became of them. `unreadable`: all that became dead letters. "
    "`redelivered`: an earlier batch had applied the record already; neither here nor in other metrics is it "
    "counted as anything else.",
    "records",
    Label("kind", ("proxied", "event", "unreadable")),
    Label("outcome", ("forwarded", "consumed", "dropped", "held", "dead_letter", "redelivered")),
)
REPORTS = _counter(
    "tracker_reports",
    "Reports on tasks, from proxied messages and events alike.",
    "reports",
    Label("kind", ("complete", "failed", "progress", "retry")),
)
REPORTS_IGNORED = _counter(
    "tracker_reports_ignored",
    "Reports of events that changed nothing, because their job had ended or is not known.",
    "reports",
    _ENDED,
)
DROPS = _counter(
    "tracker_drops",
    "Proxied messages that were not forwarded, by the status of their job. `stale`: they belong to an "
    "earlier run: the job was deleted or retried since.",
    "records",
    Label("reason", (*_ENDED_REASONS, "stale")),
)
DEAD_LETTERS = _counter(
    "tracker_dead_letters",
    "Records sent to the dead-letter topic, by the reason in their header.",
    "records",
    Label(
        "reason",
        (
            "not-json",
            "not-an-object",
            "missing-field",
            "wrong-type",
            "bad-job-task-id",
            "percentage-out-of-range",
            "unknown-classifier",
            "unknown-version",
            "nul-in-text",
            "too-large",
            "too-deep",
            "destination-not-allowed",
            "destination-unknown",
            "database-rejected",
            "unreceivable",
        ),
    ),
)
UNTRACKED = _counter(
    "tracker_untracked_messages",
    "Proxied messages that name no task. They are forwarded and report nothing.",
    "records",
)
CONTRADICTIONS = _counter(
    "tracker_contradictions",
    "Contradictions between messages about how many children a task has; the highest index wins. Several of "
    "one task in a batch may count once.",
    "contradictions",
)

# What was sent without being asked for by a message's destination.

RELEASES = _counter(
    "tracker_releases",
    "Jobs sent with the batch that completed their last prerequisite. Jobs that had to wait longer are "
    "counted in `tracker_scheduled_sends_total`.",
    "jobs",
)
SCHEDULED_SENDS = _counter(
    "tracker_scheduled_sends",
    "Messages that the scheduler sent. `first`: jobs without a delay. `delayed`: jobs with a delay. "
    "`resumed`: messages that had been held for a job that was resumed.",
    "records",
    Label("kind", ("first", "delayed", "resumed")),
)
HELD_DROPPED = _counter(
    "tracker_held_messages_dropped",
    "Messages held for a paused job, and dropped because the job ended. The active scheduler counts them, "
    "whichever program dropped them.",
    "records",
    _DROPPED_BECAUSE,
)
PENDING_DROPPED = _counter(
    "tracker_pending_tasks_dropped",
    "Jobs that were not sent because they had ended: when it was their turn, or when they were cancelled or "
    "deleted. The active scheduler counts them, whichever program ended them.",
    "jobs",
    Label("reason", ("cancelled", "deleted", "completed", "failed")),
)

# What was removed.

JOBS_REMOVED = _counter(
    "tracker_jobs_removed",
    "Jobs removed because they had ended long enough ago, by the status that they had.",
    "jobs",
    Label("status", ("completed", "cancelled", "failed")),
)
RETENTION_DELAY = _gauge(
    "tracker_retention_delay_seconds",
    "How long after their time jobs are removed: the longest delay in the last step; 0 when none is left.",
    "seconds",
)

# The batch.

BATCHES = _counter("tracker_batches", "Batches applied and published.", "batches")
BATCH_RECORDS = Metric(
    "tracker_batch_records", Kind.HISTOGRAM, "Records in a batch.", "records", buckets=_RECORDS
)
BATCH_BYTES = Metric(
    "tracker_batch_bytes", Kind.HISTOGRAM, "Bytes of the records' values in a batch.", "bytes", buckets=_BYTES
)
STAGE_DURATION = Metric(
    "tracker_stage_duration_seconds",
    Kind.HISTOGRAM,
    "How long a batch was in each stage. `commit` is the database's commit, `publish` the whole Kafka "
    "transaction.",
    "seconds",
    (Label("stage", ("decode", "load", "fold", "write", "commit", "publish")),),
    _SECONDS,
)
LAG = _gauge(
    "tracker_lag_records",
    "Records of a Kafka partition that the group has not committed: 0 at rest. Records of open transactions "
    "count, as in Kafka's own tools.",
    "records",
    Label("topic"),
    Label("kafka_partition"),
)
LAG_SECONDS = _gauge(
    "tracker_lag_seconds",
    "Age of the oldest record of a Kafka partition that the group has not committed: 0 at rest. It is "
    "computed from the record's timestamp and the worker's clock, and accurate to about 2 seconds.",
    "seconds",
    Label("topic"),
    Label("kafka_partition"),
)

# Trouble.

DATABASE_RETRIES = _counter(
    "tracker_database_retries",
    "Database transactions run again from the start.",
    "transactions",
    Label("cause", ("unavailable", "deadlock", "serialization", OTHER)),
)
KAFKA_RETRIES = _counter("tracker_kafka_retries", "Calls to Kafka that were repeated unchanged.", "calls")
KAFKA_ABORTS = _counter(
    "tracker_kafka_aborts", "Kafka transactions aborted. Their batch is done again.", "transactions"
)
REBALANCES = _counter(
    "tracker_rebalances",
    "Times that a worker was assigned Kafka partitions, gave some back, or lost them without being asked.",
    "times",
    Label("kind", ("assigned", "revoked", "lost")),
)

# The processes.

WORKERS = _gauge("tracker_workers", "Worker processes that should run.", "processes")
WORKERS_READY = _gauge(
    "tracker_workers_ready",
    "Worker processes that have joined the group and reached the database, and wait for nothing that they "
    "would need now.",
    "processes",
)
RESTARTS = _counter(
    "tracker_worker_restarts",
    "Processes started again. `exited`: they had ended by themselves. `stuck`: they were killed because they "
    "were stuck.",
    "processes",
    _PROCESS,
    Label("cause", ("exited", "stuck")),
)
LAST_PROGRESS = _gauge(
    "tracker_last_progress_timestamp_seconds",
    "When a process last finished something, in seconds since 1970.",
    "seconds",
    _PROCESS,
)
READY = _gauge("tracker_ready", "What `/readyz` answers: 1 for ready, 0 for not.", "")
WAITING = _gauge(
    "tracker_waiting",
    "1 while a process waits for this, or would if it had work now; otherwise 0. `/readyz` and the log have "
    "the reason.",
    "",
    _PROCESS,
    Label("cause", ("database", "kafka", "topics", "destination", "clock", "record", "unknown")),
)
NO_PROGRESS = _gauge(
    "tracker_no_progress_seconds",
    "For how long a process has had work and finished none of it; 0 while it has none.",
    "seconds",
    _PROCESS,
)
STUCK_DESTINATIONS = _gauge(
    "tracker_stuck_destination_kafka_partitions",
    "Kafka partitions of destinations that take no messages now: the largest number that a process sees. "
    "`/readyz` and the log name them.",
    "Kafka partitions",
)
UNRECEIVABLE = _gauge(
    "tracker_unreceivable_record",
    "1 while a Kafka partition waits at a record that cannot be received; `/readyz` and the log name its "
    "offset.",
    "",
    Label("topic"),
    Label("kafka_partition"),
)
BUILD_INFO = _gauge("tracker_build_info", "Always 1; the labels say what runs.", "", Label("version"))

CATALOGUE: Mapping[str, Metric] = {
    metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)
}
"""All metrics by name, in the order of this page."""

Series = dict[tuple[str, ...], tuple[float, ...]]
"""Label values (in the catalogue's order) to numbers. A counter or gauge has one number. A histogram has the
count of each bucket, the count above the last bucket, and the sum of the observed values."""

Snapshot = dict[str, Series]
"""What a process has recorded, by metric name. It has only built-in types, which pipes can carry."""


class Recorder:
    """Counts in memory. A process has one, which its threads share.

    No call blocks for longer than it takes to add a number. An unknown or missing label is a mistake in the
    program, and raises ``TypeError``. A label value that the catalogue does not list is counted as ``other``.
    """

    def __init__(self) -> None:
        # `x += 1` on a shared dict loses counts if two threads do it at once. An uncontended lock costs about
        # 50 ns, some twenty times a batch.
        self._lock = threading.Lock()
        self._numbers: dict[str, dict[tuple[str, ...], list[float]]] = {}

    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        """Add `amount`, which is not negative, to a counter."""
        key = _key(metric, labels)
        with self._lock:
            self._series(metric, key, size=1)[0] += amount

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""
        key = _key(metric, labels)
        with self._lock:
            self._series(metric, key, size=1)[0] = value

    def remove(self, metric: Metric, **labels: str) -> None:
        """Remove a gauge that another process reports from now on, such as the lag of a Kafka partition."""
        key = _key(metric, labels)
        with self._lock:
            self._numbers.get(metric.name, {}).pop(key, None)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Count `value` in a histogram."""
        key = _key(metric, labels)
        with self._lock:
            numbers = self._series(metric, key, size=len(metric.buckets) + 2)
            numbers[bisect_left(metric.buckets, value)] += 1
            numbers[-1] += value

    def snapshot(self) -> Snapshot:
        """Return a copy of all numbers as they are now."""
        with self._lock:
            return {
                name: {key: tuple(numbers) for key, numbers in series.items()}
                for name, series in self._numbers.items()
            }

    def _series(self, metric: Metric, key: tuple[str, ...], *, size: int) -> list[float]:
        return self._numbers.setdefault(metric.name, {}).setdefault(key, [0.0] * size)


def _key(metric: Metric, labels: Mapping[str, str]) -> tuple[str, ...]:
    if len(labels) != len(metric.labels) or any(label.name not in labels for label in metric.labels):
        raise TypeError(f"{metric.name} has the labels {[label.name for label in metric.labels]}")
    return tuple(_listed(label, labels[label.name]) for label in metric.labels)


def _listed(label: Label, value: str) -> str:
    return value if not label.values or value in label.values else OTHER


def reference() -> str:
    """Return the page that documents the catalogue, as Markdown."""
    lines = [
        "# Metrics",
        "",
        "`tracker run` shows these at `/metrics`, for Prometheus. Counters have the suffix `_total`;",
        "histograms come as `_bucket`, `_sum` and `_count`. Counters are sums over all processes, and do not",
        "fall when one of them is restarted; a process that is killed loses at most its last second of",
        "counts. A label value that is not listed here is shown as `other`.",
        "",
        "This page is printed from the program: `python -m tracker.metrics > docs/metrics.md`.",
    ]
    for metric in CATALOGUE.values():
        suffix = "_total" if metric.kind is Kind.COUNTER else ""
        unit = f", in {metric.unit}" if metric.unit else ""
        lines += [
            "",
            f"## `{metric.name}{suffix}`",
            "",
            metric.help,
            "",
            f"- {metric.kind.value.capitalize()}{unit}",
            *(f"- Label {_describe(label)}" for label in metric.labels),
        ]
    return "\n".join(lines) + "\n"


def _describe(label: Label) -> str:
    values = ", ".join(f"`{value}`" for value in label.values)
    return f"`{label.name}`: {values}" if values else f"`{label.name}`"


if __name__ == "__main__":
    print(reference(), end="")
