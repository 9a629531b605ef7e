"""What is stored of a job that says why it stands where it stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from tracker.identifiers import JobName
from tracker.job_status import STATUSES, JobStatus
from tracker.store.arrays import key_arrays
from tracker.store.steps import Verb, ask

MOST_HELD = 100_000  # held messages of one job that are counted


@dataclass(frozen=True, slots=True)
class Losses:
    """Messages of a job that were dropped, or that became dead letters: how many, and the newest."""

    count: int
    reason: str
    time: datetime | None
    record: str  # topic:kafkaPartition:offset


@dataclass(frozen=True, slots=True)
class Standing:
    """What is stored of a job."""

    tenant_key: int
    job_key: int
    name: JobName
    status: JobStatus
    percentage: int  # millionths of a percent
    attempt: int
    suspended: bool
    last_update_time: datetime
    pause_time: datetime | None
    end_time: datetime | None
    end_record: str | None
    root_job_id: str | None
    contradicted: bool
    has_task_message: bool
    unmet: int
    eligible_time: datetime | None
    sent_time: datetime | None
    delay_s: int
    task_pipe: str | None
    not_sent_reason: str | None
    last_verb: str | None  # what somebody has done to it last
    last_user: str | None
    held: int  # one more than `most_held`: there are more
    dropped: Losses
    dead_letters: Losses
    most_held: int

    @property
    def key(self) -> tuple[int, int]:
        """Its tenant_key and job_key."""
        return self.tenant_key, self.job_key

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for other jobs."""
        return self.unmet > 0 and self.status < JobStatus.FAILED

    @property
    def is_delayed(self) -> bool:
        """Whether it is sent at its `eligible_time`, because of its delay, and not tried again then."""
        return self.is_to_be_sent and self.eligible_time is not None and self.not_sent_reason is None

    @property
    def is_to_be_sent(self) -> bool:
        """Whether its task message has not been sent, and will be."""
        return self.has_task_message and self.sent_time is None and self.status < JobStatus.FAILED

    def by_whom(self, verb: str) -> str:
        """Return `` by USER`` if the last that somebody did to it is this, and it is known who did."""
        return f" by {self.last_user}" if self.last_verb == verb and self.last_user else ""


def read_now() -> Verb[datetime]:
    """Return PostgreSQL's time, which the times of jobs are compared with."""
    [(seconds,)] = yield from ask("read_clock")
    return datetime.fromtimestamp(seconds, UTC)


def read_standings(keys: Iterable[tuple[int, int]], *, most_held: int = MOST_HELD) -> Verb[list[Standing]]:
    """Return what is stored of the jobs with these keys (tenant_key, job_key).

    Of each, up to `most_held` held messages are counted.
    """
    rows = yield from ask("describe_standing", **key_arrays(keys), most_held=most_held + 1)
    found = []
    for tenant_key, job_key, partition_id, job_id, status, *stored in rows:
        facts, dropped, dead_letters = stored[:-8], stored[-8:-4], stored[-4:]
        losses = (_losses(*dropped), _losses(*dead_letters), most_held)
        name = JobName(partition_id, job_id)
        found.append(Standing(*(tenant_key, job_key, name, STATUSES[status], *facts, *losses)))
    return found


def _losses(count: int, reason: str | None, time: datetime | None, record: str | None) -> Losses:
    return Losses(count, reason or "", time, record or "")
