"""What of a status needs a person."""

import time
from collections.abc import Iterator

from tracker.diagnosis.look import look
from tracker.diagnosis.status import KafkaPartitionStatus, Problem, Status
from tracker.kafka_partition import KafkaPartition, describe
from tracker.settings import Settings

LATE_S = 60.0
"""From when on a job that is due and not sent, or a record that is not committed, is late."""

LOOK_AGAIN_S = 6.0
"""How long to wait before the second look: workers write every 5 s what they read."""

_MAX_NAMED = 10


def find_status(settings: Settings, before: Status | None = None) -> Status:
    """Return what runs, and what needs a person.

    `before` is an earlier answer. Without one, it looks twice where one look cannot tell: whether a lag grows
    or shrinks, and whether a Kafka partition without a member is only on its way to another one.
    """
    found = look(settings)
    if before is None and _suspects(found):
        before = found
        time.sleep(LOOK_AGAIN_S)
        found = look(settings)
    found.problems += _problems(found, before)
    return found


def _problems(status: Status, before: Status | None) -> Iterator[Problem]:
    yield from _of_processes(status)
    for topic in status.missing_topics:
        yield Problem(
            "topic-missing",
            f"The tracking topic {topic} does not exist, or cannot be used.",
            "tracker topics --create",
        )
    yield from _of_kafka_partitions(status, before)
    due = status.oldest_due
    if due is not None and due.due_s > LATE_S:
        yield Problem(
            "not-sent",
            f"The job {due.partition_id}:{due.job_id} has been due for {due.due_s:,.0f} s, and is not sent to"
            f" the topic {due.task_pipe}.",
            f"tracker job show {due.partition_id}:{due.job_id}",
        )


def _of_processes(status: Status) -> Iterator[Problem]:
    if status.workers is not None and not status.workers:
        late = sum(each.lag_records for each in status.kafka_partitions or ())
        waiting = f", and {late:,} {'record waits' if late == 1 else 'records wait'}" if late else ""
        yield Problem("no-members", f"No worker runs{waiting}.", "tracker run")
    for worker in status.workers or ():
        if not worker.ready or worker.detail:
            what = "is not ready" if not worker.ready else "is ready, but part of its work waits"
            yield Problem(
                "worker-waits" if worker.ready else "worker-not-ready",
                f"Worker {worker.slot} on {worker.host} {what}: {worker.detail.rstrip('.') or 'starting'}.",
                "tracker config --check",
            )
    if status.scheduler_active is False:
        yield Problem("no-scheduler", "No scheduler is active, and no job starts.", "tracker run")


def _of_kafka_partitions(status: Status, before: Status | None) -> Iterator[Problem]:
    if before is None:
        return
    earlier = _suspects(before)
    found = [
        each
        for key, each in _suspects(status).items()
        if key in earlier and (each.member is None or each.lag_records >= earlier[key].lag_records)
    ]
    for each in found[:_MAX_NAMED]:
        name = describe((each.topic, each.kafka_partition))
        if each.member is None:
            yield Problem(
                "no-member",
                f"No worker reads {name}, and {_lag(each)}.",
                "tracker config --check",
            )
        else:
            yield Problem(
                "lag",
                f"Worker {each.member} does not keep up with {name}: {_lag(each)}, and they do not become"
                " fewer.",
                "tracker status --watch",
            )
    if len(found) > _MAX_NAMED:
        yield Problem(
            "lag", f"{len(found) - _MAX_NAMED} more Kafka partitions need somebody.", "tracker status --json"
        )


def _suspects(status: Status) -> dict[KafkaPartition, KafkaPartitionStatus]:
    """Return the Kafka partitions that are late, or have no member although there are members."""
    return {
        (each.topic, each.kafka_partition): each
        for each in status.kafka_partitions or ()
        if status.workers and (each.member is None or (each.lag_s or 0.0) > LATE_S)
    }


def _lag(each: KafkaPartitionStatus) -> str:
    age = f", the oldest for {each.lag_s:,.0f} s" if each.lag_s else ""
    return f"{each.lag_records:,} {'record waits' if each.lag_records == 1 else 'records wait'}{age}"
