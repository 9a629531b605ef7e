"""The tracker in its simplest form: one thread, one message after another, everything in dicts.

The real one is tested against it. It follows the contract, shares no code with the tracker, and prefers the
obvious to the fast. It keeps one object for each open task. Of a completed task it keeps only the number, in
the set of its parent, because nothing more can be learnt about it.

Where the contract leaves a question open, this is the answer:

1.  A task that was itself reported as failed counts 0 % until it completes. A parent that has failed only
    because a child has failed keeps the percentage of its children, of which the failed ones count 0:
    nobody reported that the parent achieved nothing.
2.  Failures are listed for tasks that are failed now. A task that has completed since, itself or with an
    ancestor that completed outright, needs no attention any more. A completed job lists none. A Failed job
    stays Failed until it completes as a whole, because its status never goes back.
3.  Last-child marks, at any level of the path, and child indexes are learnt from every report that is
    written. This includes a report that is otherwise ignored because the task or an ancestor has
    completed: it counts down to and including the first completed task on its path, because below that
    there is nothing left to know. Otherwise the order of reports would matter. After any child is marked
    last, the number of children is the highest index that was seen: the marked one, unless there is a
    contradiction.
4.  Percentages are whole millionths of a percent, and a parent's is rounded down, so that they are exact
    and do not depend on the order of additions.
5.  A written report makes a Waiting job Active. A Paused job stays Paused until it fails or completes.
6.  A job's status before the batch decides whether a proxied message is forwarded, held or dropped.
7.  A failure that is reported for a Paused job counts. Its message is held, like any other whose tracking
    does not end. When a paused job becomes Failed or Completed, its held messages are dropped, as for a
    cancelled job.
8.  A job is released if it has not ended, whatever was reported on it before it was sent.
9.  Failure propagation marks all direct and indirect dependents that are not sent and not ended. They keep
    their prerequisites, and are not sent unless they are retried. The root is the job that failed first.
    Propagation does not pass through cancelled jobs.
10. What the end of a job does to other jobs (release, propagation) happens after the batch, on account of
    the record that ended the job last. So a job that fails and is repaired in one batch does not fail its
    dependents.
11. A cycle is a cycle of outstanding prerequisites, whatever the status of the jobs. A pre-created
    prerequisite that does not exist is not outstanding, and closes no cycle.
12. The same job twice: its content is what it was created with, and the order of its prerequisites does not
    matter. The content is compared before the prerequisites are checked, so a job can be submitted again
    after one of them has failed.
13. A cancel that cascades also continues from a job that is cancelled already. It goes through all jobs that
    wait, and stops at those that have ended.
14. A job with a propagated failure shows 0 % until it completes, whatever is reported on it.
15. Each run of a job, by its creation or by a retry, has a marker that no other run has or had. A message
    with another marker than that of the present run is of an earlier run. It has no effect, whatever the
    status of the job.
16. A retry leaves nothing of the earlier run, and waits for no delay. The job waits again for each
    prerequisite that has not completed by then. A retry that cascades also takes the jobs downstream that
    have failed by propagation from the same root. One of these stays as it is if it also waits for a job
    that has failed or was cancelled and is not retried with it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.support.model.jobs import ENDED, Job, Task, gaps
from tests.support.model.outcomes import (
    Conflict,
    DeadLetter,
    Forward,
    JobKey,
    NotFound,
    Outcome,
    Refused,
    Release,
)
from tests.support.model.reading import (
    HUNDRED,
    Bad,
    Event,
    Proxied,
    Report,
    Rules,
    is_name,
    last_header,
    read,
)
from tests.support.model.retrying import jobs_to_retry
from tests.support.model.start_message import start_message
from tests.support.records import Record


class NaiveTracker:
    """The whole tracker: Kafka's records in, outcomes out, the database in between.

    Time passes only in `advance`. A job without prerequisites is sent when it is created, or after its
    delay. What the real scheduler does a moment later happens here at once.

    `marker_of` gives the marker of a run when it is sent. Without it, runs are numbered as they begin.
    """

    def __init__(
        self,
        propagate_failures: bool = False,
        tracking_topics: Iterable[str] = ("tracking",),
        destinations: Iterable[str] = (),
        *,
        dead_letter_topic: str = "tracker-dead-letter",
        known_topics: Iterable[str] | None = None,
        max_message_bytes: int = 1_000_000,
        max_failure_chars: int = 10_000,
        service_url: str = "",
        status_check_interval_s: int = 5,
        marker_of: Callable[[Job], str] | None = None,
    ) -> None:
        known = None if known_topics is None else frozenset(known_topics)
        self.rules = Rules(
            tuple(tracking_topics),
            dead_letter_topic,
            tuple(destinations),
            known,
            max_message_bytes,
            max_failure_chars,
        )
        self.propagate_failures = propagate_failures
        self.service_url = service_url
        self.status_check_interval_s = status_check_interval_s
        self.marker_of = marker_of
        self.now_s: float = 0
        self.last_eligible_s: float = 0  # after this time, no job waits for its delay
        self.runs = 0
        self.jobs: dict[JobKey, Job] = {}
        self.unsent: dict[JobKey, Job] = {}
        self.suspended: set[str] = set()
        self.releases: list[Release] = []

    # --- state

    def status(self, partition_id: str, job_id: str) -> str | None:
        """Return the job's status; None if the job is unknown."""
        job = self.jobs.get((partition_id, job_id))
        return None if job is None else job.status

    def percentage_millionths(self, partition_id: str, job_id: str) -> int:
        """Return the job's percentage as it is stored."""
        job = self._job(partition_id, job_id)
        if job.status == "Completed":
            return HUNDRED
        return 0 if job.propagated_failure is not None else job.root.percentage()

    def percentage(self, partition_id: str, job_id: str) -> float:
        """Return the job's percentage as it is shown: rounded to two decimals, half up."""
        return (self.percentage_millionths(partition_id, job_id) + 5_000) // 10_000 / 100

    def failures(self, partition_id: str, job_id: str) -> list[dict[str, Any]]:
        """List the failures: `jobTaskId` and the three details; or the propagated failure."""
        return self._job(partition_id, job_id).failures()

    def missing(self, partition_id: str, job_id: str) -> list[tuple[str, int, int]]:
        """List (parent, first, last): ranges of known children of open tasks that have not completed."""
        job = self._job(partition_id, job_id)
        if job.status == "Completed":
            return []
        return [
            (".".join([job.name, *map(str, path)]), first, last)
            for path, task in job.root.walk()
            for first, last in gaps(task.done, task.highest)
        ]

    def unmet_prerequisites(self, partition_id: str, job_id: str) -> list[str]:
        """List the job's outstanding prerequisites."""
        return sorted(self._job(partition_id, job_id).unmet)

    def held(self, partition_id: str, job_id: str) -> list[Forward]:
        """List the held messages of the job, in order."""
        return list(self._job(partition_id, job_id).held)

    # --- records

    def process(self, record: Record) -> Outcome:
        """Process a batch of one."""
        return self.process_batch([record])[0]

    def process_batch(self, records: Sequence[Record]) -> list[Outcome]:
        """Process records: read all, look up the statuses of their jobs, then do one after another."""
        outcomes = [Outcome() for _ in records]
        messages = [self._read(record, outcome) for record, outcome in zip(records, outcomes, strict=True)]
        status_before = {
            message.report.task[:2]: self.status(*message.report.task[:2])
            for message in messages
            if isinstance(message, Proxied) and message.report is not None
        }
        ended: dict[JobKey, tuple[str | None, Outcome]] = {}
        for record, message, outcome in zip(records, messages, outcomes, strict=True):
            reports: Sequence[Report] = ()
            if isinstance(message, Event):
                reports = message.reports
            elif message is not None:
                reports = self._proxy(record, message, status_before, outcome)
            for report in reports:
                if self._report(report, outcome):
                    ended.pop(report.task[:2], None)
                    ended[report.task[:2]] = (message.correlation_id if message else None, outcome)
        for key, (correlation_id, outcome) in ended.items():
            self._end(self.jobs[key], correlation_id, outcome)
        return outcomes

    def _read(self, record: Record, outcome: Outcome) -> Proxied | Event | None:
        """Read a record, or make it a dead letter."""
        try:
            return read(record, self.rules)
        except Bad as bad:
            text = last_header(record.headers, "tracker-error-count") or ""
            count = int(text) if text.isascii() and text.isdecimal() else 0
            own = tuple(header for header in record.headers if not header[0].startswith("tracker-"))
            outcome.dead_letter = DeadLetter(bad.reason, count + 1, record.key, record.value, own)
            return None

    def _proxy(
        self, record: Record, message: Proxied, status_before: Mapping[JobKey, str | None], outcome: Outcome
    ) -> Sequence[Report]:
        """Forward, hold or drop a message; return what it reports."""
        forward = None
        if message.to is not None:
            headers = tuple(header for header in record.headers if header[0] != "tracker-error-count")
            forward = Forward(message.to, record.key, message.value, headers)
        if message.report is None:
            outcome.ignored.append("untracked")
            outcome.forwarded = [forward] if forward else []
            return ()
        key = message.report.task[:2]
        status = status_before[key]
        if status is not None and message.marker not in {None, self.jobs[key].marker}:
            outcome.dropped = "stale"
            return ()
        if status is None or status in ENDED:
            outcome.dropped = "unknown" if status is None else status.lower()
            return ()
        if forward and status == "Paused" and not message.tracking_ends:
            self.jobs[key].held.append(forward)
            outcome.held = True
        elif forward:
            outcome.forwarded = [forward]
        return (message.report,)

    def _report(self, report: Report, outcome: Outcome) -> bool:
        """Write a report; return whether the job has failed or completed with it."""
        job = self.jobs.get(report.task[:2])
        if job is None or job.status in {"Cancelled", "Completed"}:
            outcome.ignored.append("unknown" if job is None else job.status.lower())
            return False
        if report.kind not in {"complete", "failed", "progress"}:
            outcome.ignored.append(report.kind)
            return False
        if job.status == "Waiting":
            job.status = "Active"
        if job.root.apply(report.task.path, report.task.marks, report):
            job.status = "Completed"
            return True
        if report.kind == "failed" and job.root.find(report.task.path) is not None and job.status != "Failed":
            job.status = "Failed"
            return True
        return False

    def _end(self, job: Job, correlation_id: str | None, outcome: Outcome) -> None:
        """Do what the end of a job does to other jobs."""
        outcome.held_dropped += len(job.held)
        job.held.clear()
        if job.status == "Completed":
            for dependent in self._dependents(job):
                dependent.unmet.remove(job.job_id)
                if not dependent.unmet:
                    dependent.eligible_at = self._eligible_at(dependent.content["delay"])
                    dependent.correlation_id = correlation_id
            outcome.released += self._send_due()
        elif self.propagate_failures:
            details = {"root_failure": job.name, "failure_details": job.failures()}
            self._propagate(job, details, outcome)

    def _propagate(self, job: Job, details: Mapping[str, Any], outcome: Outcome) -> None:
        """Fail the jobs that can never run now, because this job will not complete."""
        for dependent in self._dependents(job):
            if dependent.status not in ENDED:
                dependent.status = "Failed"
                dependent.propagated_failure = details
                outcome.held_dropped += len(dependent.held)
                dependent.held.clear()
                outcome.propagated.append(dependent.key)
                self._propagate(dependent, details, outcome)

    def _dependents(self, job: Job) -> list[Job]:
        return [
            other
            for other in self.unsent.values()
            if other.partition_id == job.partition_id and job.job_id in other.unmet
        ]

    def _eligible_at(self, delay: float) -> float:
        """Return when a job can be sent that waits only for its delay."""
        self.last_eligible_s = max(self.last_eligible_s, self.now_s + delay)
        return self.now_s + delay

    def _send_due(self) -> list[Release]:
        """Send the jobs that are due."""
        due = [job for job in self.unsent.values() if self._is_due(job)]
        for job in due:
            job.sent = True
            if self.marker_of is not None:
                job.marker = self.marker_of(job)
            del self.unsent[job.key]
        released = [self._release(job) for job in due]
        self.releases += released
        return released

    def _is_due(self, job: Job) -> bool:
        """Return whether the job must be sent now (answer 8)."""
        if (
            job.sent
            or job.eligible_at is None
            or job.eligible_at > self.now_s
            or job.partition_id in self.suspended
        ):
            return False
        return job.status in {"Waiting", "Active"}

    def _release(self, job: Job) -> Release:
        """Make the task message of a job."""
        url, interval_s = self.service_url, self.status_check_interval_s
        message = start_message(job, self.rules.tracking_topics[0], url, interval_s)
        return Release(job.partition_id, job.job_id, job.content["task_pipe"], message)

    # --- commands

    def add_topic(self, name: str) -> None:
        """Have a topic exist from now on."""
        self.rules = replace(self.rules, known_topics=(self.rules.known_topics or frozenset()) | {name})

    def create_job(
        self,
        partition_id: str,
        job_id: str,
        *,
        name: str = "",
        description: str = "",
        data: str = "",
        labels: Mapping[str, str] | None = None,
        task_classifier: str = "Worker",
        task_api_version: int = 1,
        task_data: bytes = b"{}",
        task_pipe: str = "worker-in",
        target_pipe: str | None = "worker-out",
        prerequisites: Iterable[str] = (),
        delay: float = 0,
        marker: str | None = None,
    ) -> Outcome:
        """Create a job, and send it if it is due.

        :raises Conflict: the job exists with other content.
        :raises Refused: a name or a prerequisite is bad, or it would close a cycle.
        """
        prerequisites = frozenset(prerequisites)
        content = {
            "name": name,
            "description": description,
            "data": data,
            "labels": dict(labels or {}),
            "task_classifier": task_classifier,
            "task_api_version": task_api_version,
            "task_data": task_data,
            "task_pipe": task_pipe,
            "target_pipe": target_pipe,
            "prerequisites": prerequisites,
            "delay": delay,
        }
        if not is_name(partition_id, 40) or not is_name(job_id, 48):
            raise Refused("bad name")
        existing = self.jobs.get((partition_id, job_id))
        if existing is not None:
            if existing.content != content:
                raise Conflict(existing.name)
            return Outcome()
        unmet = self._outstanding(partition_id, prerequisites)
        self._refuse_cycle(partition_id, job_id, unmet)
        eligible_at = None if unmet else self._eligible_at(delay)
        job = Job(partition_id, job_id, content, unmet, eligible_at)
        self._begin_run(job, marker)
        self.jobs[job.key] = job
        return Outcome(released=self._send_due())

    def _begin_run(self, job: Job, marker: str | None = None) -> None:
        """Have a job wait until it is sent, and give it a marker of its own."""
        self.runs += 1
        number = str(self.runs) if self.marker_of is None else ""
        job.marker = number if marker is None else marker
        self.unsent[job.key] = job

    def _outstanding(self, partition_id: str, prerequisites: Iterable[str]) -> set[str]:
        """Return the prerequisites that have yet to complete."""
        outstanding: set[str] = set()
        names: set[str] = set()
        for prerequisite in sorted(prerequisites):
            name = prerequisite.removesuffix(",pc")
            if not is_name(name, 48) or not name.strip() or name in names:
                raise Refused(f"bad prerequisite: {prerequisite!r}")
            names.add(name)
            status = self.status(partition_id, name)
            if status in {"Failed", "Cancelled"}:
                raise Refused(f"{name} is {status}")
            pre_created = status is None and prerequisite.endswith(",pc")
            if status != "Completed" and not pre_created:
                outstanding.add(name)
        return outstanding

    def _refuse_cycle(self, partition_id: str, job_id: str, unmet: set[str]) -> None:
        """Refuse a job that would wait for itself."""
        to_visit, seen = sorted(unmet), set[str]()
        while to_visit:
            name = to_visit.pop()
            if name == job_id:
                raise Refused(f"{job_id} would wait for itself")
            other = self.jobs.get((partition_id, name))
            if other is not None and name not in seen:
                to_visit += sorted(other.unmet)
            seen.add(name)

    def cancel(self, partition_id: str, job_id: str, *, cascade: bool = False) -> Outcome:
        """Cancel a job and, with `cascade`, all downstream of it that have not ended."""
        job = self._job(partition_id, job_id)
        if job.status in {"Failed", "Completed"}:
            raise Refused(f"{job.name} is {job.status}")
        job.status = "Cancelled"
        outcome = Outcome(held_dropped=len(job.held))
        job.held.clear()
        for dependent in self._dependents(job) if cascade else ():
            if dependent.status not in ENDED:
                outcome.held_dropped += self.cancel(*dependent.key, cascade=True).held_dropped
        return outcome

    def pause(self, partition_id: str, job_id: str) -> Outcome:
        """Pause a job."""
        job = self._unfinished(partition_id, job_id)
        job.status = "Paused"
        return Outcome()

    def resume(self, partition_id: str, job_id: str) -> Outcome:
        """Resume a job: send it if it is due, and forward its held messages."""
        job = self._unfinished(partition_id, job_id)
        if job.status != "Paused":
            return Outcome()
        job.status = "Active"
        outcome = Outcome(forwarded=job.held, released=self._send_due())
        job.held = []
        return outcome

    def retry(self, partition_id: str, job_id: str, *, cascade: bool = False) -> Outcome:
        """Start a failed job again and, with `cascade`, the jobs that have failed because of the same one.

        :raises Refused: it has not failed, or it waits for a job that will not complete.
        """
        job = self._job(partition_id, job_id)
        if job.status != "Failed":
            raise Refused(f"{job.name} is {job.status}")
        retried = jobs_to_retry(job, self.jobs.values(), cascade=cascade)
        if job not in retried:
            raise Refused(f"a prerequisite of {job.name} has failed or was cancelled")
        for each in retried:
            each.status, each.root, each.propagated_failure = "Waiting", Task(), None
            each.sent, each.attempt = False, each.attempt + 1
            each.eligible_at = None if each.unmet else self._eligible_at(0)
            self._begin_run(each)
        return Outcome(released=self._send_due())

    def delete(self, partition_id: str, job_id: str) -> Outcome:
        """Delete a job. Its dependents keep waiting, as for a job that does not exist yet."""
        job = self._job(partition_id, job_id)
        del self.jobs[job.key]
        self.unsent.pop(job.key, None)
        return Outcome(held_dropped=len(job.held))

    def suspend_partition(self, partition_id: str) -> Outcome:
        """Send no more jobs of a partition ID."""
        self.suspended.add(partition_id)
        return Outcome()

    def resume_partition(self, partition_id: str) -> Outcome:
        """Send the jobs of a partition ID again: at once those that are due."""
        self.suspended.discard(partition_id)
        return Outcome(released=self._send_due())

    def advance(self, seconds: float) -> Outcome:
        """Let time pass, and send the jobs that become due."""
        self.now_s += seconds
        return Outcome(released=self._send_due())

    def _job(self, partition_id: str, job_id: str) -> Job:
        job = self.jobs.get((partition_id, job_id))
        if job is None:
            raise NotFound(f"{partition_id}:{job_id}")
        return job

    def _unfinished(self, partition_id: str, job_id: str) -> Job:
        job = self._job(partition_id, job_id)
        if job.status in ENDED:
            raise Refused(f"{job.name} is {job.status}")
        return job
