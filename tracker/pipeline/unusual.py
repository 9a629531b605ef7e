"""Log lines that name one record of each unusual kind: dropped, ignored, refused, or contradictory."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from confluent_kafka import Message

from tracker.fold.decide import Decisions
from tracker.fold.job_fold import JobFold
from tracker.identifiers import JobName, child_path
from tracker.kafka.batch import coordinates
from tracker.messages.job_work import JobWork
from tracker.messages.named_task import task_in
from tracker.messages.refusal import Refusal
from tracker.pipeline.applied import Applied
from tracker.rate_limited_log import Level, RateLimitedLog

# It is normal that messages of a job still come after it was cancelled or has ended.
_LEVELS: dict[str, Level] = {"stale": "warning", "unknown_job": "warning"}


def log_unusual(applied: Applied, limited: RateLimitedLog) -> None:
    """Log one line for each unusual kind of record that a batch had, unless the kind was logged just now."""
    new = applied.records[applied.redelivered :]
    _log_dropped(new, applied.decided, limited)
    _log_ignored(applied.decided, limited)
    _log_refused(applied.refused, limited)
    _log_contradictions(applied.contradictory, limited)
    if applied.decoded.untracked:
        limited.log(
            "warning",
            "messages that name no task are forwarded and not reported",
            "untracked",
            lambda: next(filter(_names_no_task, map(describe_record, new)), {}),
            applied.decoded.untracked,
        )


def describe_record(record: Message) -> dict[str, object]:
    """Return where a record was read, and which job and task it names, if that can be read."""
    (topic, kafka_partition), offset = coordinates(record)
    fields: dict[str, object] = {"topic": topic, "kafka_partition": kafka_partition, "offset": offset}
    return task_in(record.value()) | fields


def _log_dropped(new: Sequence[Message], decided: Decisions, limited: RateLimitedLog) -> None:
    for reason, position in decided.first_dropped.items():
        describe = partial(describe_record, new[position])
        level = _LEVELS.get(reason, "info")
        limited.log(level, "messages dropped", reason, describe, decided.dropped[reason])


def _log_ignored(decided: Decisions, limited: RateLimitedLog) -> None:
    for reason, (job, work) in decided.first_ignored.items():
        describe = partial(_describe_report, job, work)
        level = _LEVELS.get(reason, "info")
        limited.log(level, "reports ignored", reason, describe, decided.ignored[reason])


def _log_refused(refused: Sequence[tuple[Message, Refusal]], limited: RateLimitedLog) -> None:
    counts = Counter(refusal.reason.value for _, refusal in refused)
    first = {refusal.reason.value: record for record, refusal in reversed(refused)}
    for reason, count in counts.items():
        limited.log("warning", "dead letters", reason, partial(describe_record, first[reason]), count)


def _log_contradictions(folds: Sequence[JobFold], limited: RateLimitedLog) -> None:
    for fold in folds:
        job = str(fold.job.name)
        limited.log(
            "warning",
            "messages disagree about how many children a task has",
            "contradiction",
            partial(dict[str, object], job=job, task=f"{job}.{fold.contradicting_task}"),
            fold.contradictions,
        )


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
