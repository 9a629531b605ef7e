"""Log lines that name one record of each unusual kind: dropped, ignored, refused, or in contradiction."""

from collections import Counter
from functools import partial

from confluent_kafka import Message

from tracker.identifiers import JobName, child_path
from tracker.kafka.batch import coordinates
from tracker.messages.job_work import JobWork
from tracker.messages.named_task import task_in
from tracker.pipeline.applied import Applied
from tracker.rate_limited_log import Level, RateLimitedLog

# That a job was cancelled, or has ended, and messages of it still come, is as it should be.
_LEVELS: dict[str, Level] = {"stale": "warning", "unknown_job": "warning"}


def log_unusual(applied: Applied, limited: RateLimitedLog) -> None:
    """Log one line for each unusual kind of record that a batch had, unless the kind was logged just now."""
    records = applied.records[applied.redelivered :]  # what was decided, was decided of the new ones
    decided = applied.decided
    for reason, position in decided.first_dropped.items():
        record = records[position]
        level = _LEVELS.get(reason, "info")
        count = decided.dropped[reason]
        limited.note(level, "messages dropped", reason, partial(named, record), count)
    for reason, (name, work) in decided.first_ignored.items():
        level, count = _LEVELS.get(reason, "info"), decided.ignored[reason]
        limited.note(level, "reports ignored", reason, partial(_reported, name, work), count)
    dead = Counter(why.reason.value for _, why in applied.refused)
    for record, why in applied.refused:
        count = dead.pop(why.reason.value, 0)
        if count:
            reason = why.reason.value
            limited.note("warning", "dead letters", reason, partial(named, record), count)
    for fold in applied.folds:
        if fold.contradictions:
            job, task = fold.job.name, fold.contradicting_task
            limited.note(
                "warning",
                "messages disagree about how many children a task has",
                "contradiction",
                partial(dict[str, object], job=str(job), task=f"{job}.{task}"),
                fold.contradictions,
            )
    if applied.decoded.untracked:
        limited.note(
            "warning",
            "messages that name no task are forwarded and not reported",
            "untracked",
            lambda: next(filter(_names_no_task, map(named, records)), {}),
            applied.decoded.untracked,
        )


def named(record: Message) -> dict[str, object]:
    """Return where a record was read, and the job and task that it names, if that can be read."""
    (topic, kafka_partition), offset = coordinates(record)
    fields: dict[str, object] = {"topic": topic, "kafka_partition": kafka_partition, "offset": offset}
    return task_in(record.value()) | fields


def _names_no_task(fields: dict[str, object]) -> bool:
    return "task" not in fields


def _reported(job: JobName, work: JobWork) -> dict[str, object]:
    """Return a task that events have reported on."""
    if work.event_reports:
        path = work.event_reports[0][1].task.path
    else:
        siblings = work.event_siblings[0]
        path = child_path(siblings.path, siblings.completed[0])
    return {"job": str(job), "task": ".".join(filter(None, [str(job), path]))}
