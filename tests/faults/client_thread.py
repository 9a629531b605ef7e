"""Does on a thread what users do to jobs, one call after another."""

import random
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

from tests.faults.workload import Job
from tracker import Client, NewJob, NewTask
from tracker.errors import DatabaseUnavailable, JobNotFound, JobRefused

Call = Callable[[], object]


class ClientThread:
    """Calls a `Client`, in the order of the requests.

    While the database is away, or the outcome of a call is unknown, it repeats the call, which is safe for
    all of them. `on_failure` gets a sentence for each call that fails in another way.
    """

    def __init__(self, database_url: str, on_failure: Callable[[str], None]) -> None:
        self._client = Client(database_url)
        self._client.open()
        self._on_failure = on_failure
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="client", daemon=True)
        self._thread.start()

    def ask(self, verb: str, job: Job, done: Callable[[], None], *, cascade: bool = False) -> None:
        """Request `cancel`, `pause`, `resume`, `retry` or `delete` of a job. Afterwards, `done` is called."""
        method = getattr(self._client, verb)
        if cascade:
            change = partial(method, [job.name], cascade=True)
        elif job.in_bulk:
            change = partial(method, matching=filter_of(job))
        else:
            change = partial(method, [job.name])

        def call() -> None:
            self._repeat(change)
            done()

        self._calls.put(call)

    def submit(self, jobs: list[Job], task_pipe: str, target_pipe: str) -> None:
        """Request to submit jobs in one call."""
        new = [_new_job(job, task_pipe, target_pipe) for job in jobs]
        self._calls.put(lambda: self._repeat(lambda: self._client.submit(new)))

    def call_next(self, call: Call) -> None:
        """Request to call something on the thread, after all that was requested before."""
        self._calls.put(call)

    def wait(self, timeout_s: float = 10.0) -> None:
        """Return once everything that was requested is done, or after the timeout."""
        done = threading.Event()
        self._calls.put(done.set)
        done.wait(timeout_s)

    def close(self) -> None:
        self._closing.set()
        self._calls.put(None)
        self._thread.join(30)
        self._client.close()

    def _repeat(self, call: Call) -> None:
        while not self._closing.is_set():
            try:
                call()
                return
            except DatabaseUnavailable:
                self._closing.wait(0.1)
            except (JobNotFound, JobRefused):
                return  # an earlier try, whose outcome was unknown, did it; or the job has failed

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - the round reports it
                self._on_failure(f"a user's call failed: {type(error).__name__}: {error}")


def filter_of(job: Job) -> str:
    """Return a filter that only this job matches; which one depends on its name."""
    partition_id, job_id = job.key
    filters = [
        f"partitionId=='{partition_id}';id=={job_id}",
        f"id=={job_id}*",
        f"id=in=({job_id},{job_id}-another);attempt<100",
    ]
    return random.Random(job.name).choice(filters)


def _new_job(job: Job, task_pipe: str, target_pipe: str) -> NewJob:
    task = NewTask(
        task_classifier="Worker",
        task_api_version=1,
        task_data="{}",
        task_pipe=task_pipe,
        target_pipe=target_pipe,
    )
    return NewJob(
        id=job.key[1],
        partition_id=job.key[0],
        task=task,
        name=job.name,
        prerequisite_job_ids=tuple(job.prerequisites),
        delay=job.delay_s,
    )
