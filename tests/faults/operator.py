"""Does what users do to jobs, one thing after another on a thread, and again where the database was away."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from tests.faults.workload import Job
from tracker import Client, NewJob, NewTask
from tracker.errors import DatabaseUnavailable, JobNotFound, JobRefused

Deed = Callable[[], object]


class Operator:
    """Calls of a `Client`, in the order in which they are asked for.

    A call whose outcome is not known is made again, which each of them allows.
    """

    def __init__(self, database_url: str, on_failure: Callable[[str], None]) -> None:
        self._client = Client(database_url)
        self._client.open()
        self._on_failure = on_failure
        self._deeds: SimpleQueue[Deed | None] = SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)
        self._thread.start()

    def ask(self, verb: str, job: Job, done: Callable[[], None]) -> None:
        """Have `cancel`, `pause`, `resume` or `delete` done to a job; `done` is called when it has been."""
        call = getattr(self._client, verb)

        def deed() -> None:
            self._insist(lambda: call([job.name]))
            done()

        self._deeds.put(deed)

    def submit(self, jobs: list[Job], task_pipe: str, target_pipe: str) -> None:
        """Have jobs submitted in one call."""
        new = [_new_job(job, task_pipe, target_pipe) for job in jobs]
        self._deeds.put(lambda: self._insist(lambda: self._client.submit(new)))

    def wait(self, timeout_s: float = 10.0) -> None:
        """Return once all that was asked for has been done, or that time has passed."""
        done = threading.Event()
        self._deeds.put(done.set)
        done.wait(timeout_s)

    def close(self) -> None:
        self._closing.set()
        self._deeds.put(None)
        self._thread.join(30)
        self._client.close()

    def _insist(self, call: Deed) -> None:
        while not self._closing.is_set():
            try:
                call()
                return
            except DatabaseUnavailable:
                self._closing.wait(0.1)
            except (JobNotFound, JobRefused):
                return  # the call before, of which nothing was heard, has done it; or the job has failed

    def _run(self) -> None:
        while (deed := self._deeds.get()) is not None:
            try:
                deed()
            except Exception as error:  # noqa: BLE001 - told to who plays the round
                self._on_failure(f"a user's call failed: {type(error).__name__}: {error}")


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
