"""Log lines that name one record of each unusual kind: dropped, ignored, refused, or contradictory."""

from collections import Counter
from functools import partial

from confluent_kafka import Message

from tracker.identifiers import JobName, child_path
from tracker.kafka.batch import coordinates
from tracker.messages.job_work import JobWork
from tracker.messages.named_task import task_in
from tracker.pipeline.applied import Applied
from tracker.rate_limited_log import Level, RateLimitedLog

# It is normal that messages of a job still come after it was cancelled or has ended.
_LEVELS: dict[str, Level] = {"stale": "warning", "unknown_job": "warning"}


def log_unusual(applied: Applied, limited: RateLimitedLog) -> None:
    """Log one line for each unusual kind of record that a batch had, unless the kind was logged just now."""
    records = applied.records[applied.redelivered :]  # decisions are about the new ones
    decided = applied.decided
    for reason, position in decided.first_dropped.items():
        record = records[position]
        level = _LEVELS.get(reason, "info")
        count = decided.dropped[reason]
        limited.log(level, "messages dropped", reason, partial(describe_record, record), count)
    for reason, (name, work) in decided.first_ignored.items():
        level, count = _LEVELS.get(reason, "info"), decided.ignored[reason]
        limited.log(level, "reports ignored", reason, partial(_describe_report, name, work), count)
    dead = Counter(refusal.reason.value for _, refusal in applied.refused)
    for record, refusal in applied.refused:
        reason = refusal.reason.value
        count = dead.pop(reason, 0)
        if count:
            limited.log("warning", "dead letters", reason, partial(describe_record, record), count)
    for fold in applied.folds:
        if fold.contradictions:
            job, task = fold.job.name, fold.contradicting_task
            limited.log(
                "warning",
                "messages disagree about how many children a task has",
                "contradiction",
                partial(dict[str, object], job=str(job), task=f"{job}.{task}"),
                fold.contradictions,
            )
    if applied.decoded.untracked:
        limited.log(
            "warning",
            "messages that name no task are forwarded and not reported",
            "untracked",
            lambda: next(filter(_names_no_task, map(describe_record, records)), {}),
            applied.decoded.untracked,
        )


def describe_record(record: Message) -> dict[str, object]:
    """Return where a record was read, and which job and task it names, if that can be read."""
    (topic, kafka_partition), offset = coordinates(record)
    fields: dict[str, object] = {"topic": topic, "kafka_partition": kafka_partition, "offset": offset}
    return task_in(record.value()) | fields


def _names_no_task(fields: dict[str, object]) -> bool:
    return "task" not in fields


def _describe_report(job: JobName, work: JobWork) -> dict[str, object]:
    """Return the name of a task that events have reported on."""
    if work.event_reports:
        path = work.event_reports[0][1].task.path
    else:
        siblings = work.event_siblings[0]
        path = child_path(siblings.path, siblings.completed[0])
    return {"job": str(job), "task": ".".join(filter(None, [str(job), path]))}
