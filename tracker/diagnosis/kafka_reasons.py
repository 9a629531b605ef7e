"""The reasons that only Kafka knows: nobody reads a job's task message, or the tracker is behind."""

import time
from collections.abc import Iterator

from msgspec import structs

from tracker.diagnosis.reason import Reason, ReasonCode, Why
from tracker.diagnosis.standing import Standing
from tracker.diagnosis.wording import counted, duration_text
from tracker.errors import TrackerError
from tracker.job_status import JobStatus
from tracker.kafka.inspection import connect_admin, kafka_partition_counts
from tracker.kafka.key_hash import candidates
from tracker.kafka.topic_groups import TopicGroups, TopicLag, find_groups, find_lag
from tracker.settings import Settings

_BEFORE = (
    ReasonCode.DEAD_LETTERS,
    ReasonCode.DROPPED,
    ReasonCode.CONTRADICTION,
    ReasonCode.MISSING_TASKS,
    ReasonCode.BY_HAND,
)


def with_kafka(found: Why, job: Standing, settings: Settings) -> Why:
    """Return the answer with what Kafka adds to it; if Kafka cannot be asked, it says so."""
    if job.status >= JobStatus.FAILED:
        return found
    try:
        more = list(_reasons(job, settings))
    except TrackerError as error:
        more = [Reason(code=ReasonCode.NOT_ASKED, text=f"Kafka could not be asked: {error}.")]
        return structs.replace(found, reasons=[*found.reasons, *more], partial=True)
    place = next(
        (at for at, reason in enumerate(found.reasons) if reason.code in _BEFORE), len(found.reasons)
    )
    return structs.replace(found, reasons=[*found.reasons[:place], *more, *found.reasons[place:]])


def _reasons(job: Standing, settings: Settings) -> Iterator[Reason]:
    yield from _of_the_tracker(job, settings)
    if job.status is JobStatus.WAITING and job.sent_time is not None and job.task_pipe is not None:
        groups = find_groups(settings, job.task_pipe)
        yield from _of_the_worker(job.task_pipe, groups)


def _of_the_tracker(job: Standing, settings: Settings) -> Iterator[Reason]:
    counts = kafka_partition_counts(connect_admin(settings))
    key = str(job.name).encode()
    wanted = [
        (topic, number)
        for topic in settings.topics
        if topic in counts
        for number in sorted(candidates(key, counts[topic]))
    ]
    if not wanted:
        return
    lag = find_lag(settings, settings.group_id, wanted)
    if not lag.has_members:
        yield Reason(
            code=ReasonCode.TRACKER_DOWN,
            text=f"No tracker reads its messages: the group {settings.group_id} has no members.",
            subject=settings.group_id,
            count=lag.records,
            command="tracker run",
        )
    elif lag.records:
        yield Reason(
            code=ReasonCode.TRACKER_LAG,
            text=f"The tracker is behind by {_behind(lag)} where the job's messages are.",
            subject=settings.group_id,
            since=lag.oldest_time_ms,
            count=lag.records,
        )


def _of_the_worker(topic: str, found: TopicGroups) -> Iterator[Reason]:
    readers = [group for group in found.groups if group.has_members]
    if not readers:
        unseen = "" if found.asked == found.known else f" {found.known - found.asked} groups were not asked."
        gone = [group.group_id for group in found.groups]
        text = (
            f"The group {gone[0]} has read {topic}, and has no members now."
            if gone
            else (f"No consumer group has read {topic}.")
        )
        yield Reason(
            code=ReasonCode.NO_CONSUMER,
            text=f"{text} Consumers without a group are not seen.{unseen}",
            subject=topic,
        )
    elif all(group.records for group in readers):
        least = min(readers, key=lambda group: group.records)
        yield Reason(
            code=ReasonCode.CONSUMER_LAG,
            text=f"The group {least.group_id} is behind by {_behind(least)} in {topic}.",
            subject=least.group_id,
            since=least.oldest_time_ms,
            count=least.records,
        )


def _behind(lag: TopicLag) -> str:
    text = counted(lag.records, "record")
    if lag.oldest_time_ms is None:
        return text
    return f"{text} and {duration_text(time.time() - lag.oldest_time_ms / 1000)}"
