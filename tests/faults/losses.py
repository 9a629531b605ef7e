"""Finds what a failed round has lost for good, also while the round has not come to rest.

A round that stalls shows only that something is missing. This module finds what will never arrive: a record
that the group has passed and that is not at its destination, or a job that waits for nothing while nothing
is stored that would start it. Neither depends on the speed of the machine.
"""

from collections.abc import Iterator

from tests.faults.checker import Checker, job_fate
from tests.faults.round import Round
from tests.faults.workload import CANCELLED_OR_DELETED
from tests.support.kafka import wait_until

_HELD = "SELECT source_partition, source_offset FROM held_message"
# For each job that has not ended: what is stored that may still start it.
_WAITING = """
    SELECT partition_id, job.job_id,
        array(
            SELECT prerequisite_job_id
                || CASE prerequisite_job.status WHEN 5 THEN ', which has completed' ELSE '' END
            FROM prerequisite
            LEFT JOIN job AS prerequisite_job
                ON prerequisite_job.tenant_key = prerequisite.tenant_key
                AND prerequisite_job.job_id = prerequisite.prerequisite_job_id
            WHERE prerequisite.tenant_key = job.tenant_key AND prerequisite.job_key = job.job_key
        ),
        task_message.eligible_time IS NOT NULL OR EXISTS (
            SELECT FROM outbox WHERE outbox.tenant_key = job.tenant_key AND outbox.job_key = job.job_key
        )
    FROM job
    JOIN tenant USING (tenant_key)
    LEFT JOIN task_message USING (tenant_key, job_key)
    WHERE job.status < 3
"""
_DECIDED_S = 15.0  # longer than the transaction of a dead worker stays open


def losses(a_round: Round) -> Iterator[str]:
    """Yield a sentence for each loss.

    Reads first what may still arrive, and last what has arrived: so nothing that arrives in between counts as
    lost.
    """
    deployment, topics = a_round.deployment, a_round.topics
    kafka = deployment.kafka
    committed = kafka.committed(deployment.group_id, topics.tracking)
    held = set(deployment.rows(_HELD))
    waiting = {(row[0], row[1]): row[2:] for row in deployment.rows(_WAITING)}
    wait_until(
        lambda: kafka.ends(*topics) == kafka.ends(*topics, committed=True), "no open transaction", _DECIDED_S
    )
    checker = Checker(a_round)
    yield from _lost_records(checker, committed, held)
    yield from _lost_starts(checker, waiting)


def _lost_records(
    checker: Checker, committed: dict[tuple[str, int], int], held: set[tuple[object, ...]]
) -> Iterator[str]:
    forwarded = checker.forwarded()
    for number in checker.outcomes:
        outcome, sent = checker.outcome_of(number), checker.last_sent(number)
        job = checker.job_of(sent)
        position = sent.kafka_partition, sent.offset
        group_offset = committed[sent.topic, sent.kafka_partition]
        may_be_dropped = job is not None and checker.may_be_dropped(job, number)
        if (
            outcome.forwarded
            and number not in forwarded
            and sent.offset < group_offset
            and position not in held
            and not may_be_dropped
        ):
            yield (
                f"record {number} of {job.name if job else 'no job'} ({job_fate(job)}) is lost: the group is"
                f" past it (it is at {position[0]}:{position[1]}, the group at {group_offset}), and it is not"
                " at its destination"
            )


def _lost_starts(checker: Checker, waiting: dict[tuple[str, str], tuple[list[str], bool]]) -> Iterator[str]:
    starts = checker.starts()
    for release in checker.model.releases:
        key = release.partition_id, release.job_id
        name = ":".join(key)
        if starts[name]:
            starts[name].pop()
            continue
        if checker.job_named(name).fate in CANCELLED_OR_DELETED or key not in waiting:
            continue
        unmet, is_due = waiting[key]
        if not unmet and not is_due:
            yield (
                f"the start of {name} is lost: all its prerequisites have completed, it was not sent, and"
                " nothing is stored that would send it"
            )
        for prerequisite in unmet:
            if prerequisite.endswith("has completed"):
                yield f"{name} waits for {prerequisite}"
