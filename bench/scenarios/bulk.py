"""`bulk`: how long it takes to change all jobs that match, and what that costs messages at a steady rate.

The jobs that are changed wait for their time and have no messages. In the case with changes beside, all of
them are paused and resumed again and again while the messages flow.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial

from bench.drain import warm_up_with
from bench.errors import WrongResult
from bench.outcome import Case, Metric, Outcome, latency_metrics, rounds_text
from bench.scenarios.latency import FlowResult, flow, workloads_at
from bench.scenarios.throughput import cost_metrics
from bench.session import BenchSession, Options
from bench.verify import verify_messages
from bench.workload import Topics, start_task
from tracker import ChangeCount, Client, NewJob

_JOBS, _QUICK_JOBS, _FULL_JOBS = 200_000, 4_000, 1_000_000
_RATE = 5_000
_SECONDS, _QUICK_SECONDS = 30, 4
_PARTITION_ID = "bulk"
_MATCHING = f"partitionId=={_PARTITION_ID}"
_DELAY_S = 86_400
_AT_ONCE = 20_000
_QUIET, _BESIDE = "nothing beside", "changes beside"

_VERBS: dict[str, Callable[[Client], ChangeCount]] = {
    "pause": lambda client: client.pause(matching=_MATCHING),
    "resume": lambda client: client.resume(matching=_MATCHING),
    "cancel": lambda client: client.cancel(matching=_MATCHING),
    "delete": lambda client: client.delete(matching=_MATCHING),
}


@dataclass(frozen=True)
class _Measured:
    """The flow, and the seconds of each verb after it."""

    flowed: FlowResult
    seconds: dict[str, float]


class Bulk:
    name = "bulk"
    description = "changes of all jobs that match, and latency at a steady rate beside them"
    usual = quick = False

    def steps(self, options: Options) -> int:
        return 2 * options.rounds

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        jobs = _FULL_JOBS if options.full else _QUICK_JOBS if options.quick else _JOBS
        seconds = _QUICK_SECONDS if options.quick else _SECONDS
        found: dict[str, list[_Measured]] = {_QUIET: [], _BESIDE: []}
        for case in session.turns(self.name, list(found)):
            found[case].append(_measure(session, seconds, jobs, changing=case == _BESIDE))
        cases = [_flow_case(name, [each.flowed for each in rounds]) for name, rounds in found.items()]
        cases += [_verb_case(verb, jobs, [each.seconds[verb] for each in found[_QUIET]]) for verb in _VERBS]
        return Outcome(
            size=f"{jobs:,} jobs are changed; {_RATE:,} messages/s for {seconds} s,"
            f" {options.workers} workers, {rounds_text(options.rounds)}; results verified",
            cases=cases,
            raw={
                name: [{**asdict(each.flowed.measurement), "verbs": each.seconds} for each in rounds]
                for name, rounds in found.items()
            },
        )


SCENARIO = Bulk()


def _measure(session: BenchSession, seconds: float, jobs: int, *, changing: bool) -> _Measured:
    topics = session.topics()
    warm_up, workloads = workloads_at(topics, [_RATE], seconds, session.options.seed)
    workload = workloads[_RATE]
    own = [*warm_up.jobs(), *workload.jobs()]
    with session.tracker(topics, own, before=partial(_submit, topics=topics, jobs=jobs)) as tracked:
        warm_up_with(session.servers, tracked.contender, warm_up)
        with _changing(tracked.database_url) if changing else nullcontext():
            flowed, first = flow(session, tracked.contender, workload, _RATE)
        verify_messages(session.servers.clients, topics.destination, first, workload.size, workload.forwarded)
        with Client(tracked.database_url, max_connections=1) as client:
            return _Measured(flowed, {verb: _time(client, change, jobs) for verb, change in _VERBS.items()})


def _submit(database_url: str, *, topics: Topics, jobs: int) -> None:
    task = start_task(topics, topics.destination)
    with Client(database_url, max_connections=1) as client:
        for first in range(0, jobs, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, jobs))
            client.submit(
                NewJob(partition_id=_PARTITION_ID, id=f"job-{number}", task=task, delay=_DELAY_S)
                for number in numbers
            )


@contextmanager
def _changing(database_url: str) -> Iterator[None]:
    """Pause and resume all, until the block ends.

    :raises WrongResult: a change has failed.
    """
    stopping = threading.Event()
    errors: list[Exception] = []

    def change() -> None:
        try:
            with Client(database_url, max_connections=1) as client:
                while not stopping.is_set():
                    _VERBS["pause"](client)
                    _VERBS["resume"](client)
        except Exception as error:  # noqa: BLE001 - raised by the thread that measures
            errors.append(error)

    thread = threading.Thread(target=change, name="changes")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    if errors:
        raise WrongResult(f"a change failed: {errors[0]}")


def _time(client: Client, change: Callable[[Client], ChangeCount], jobs: int) -> float:
    began_s = time.perf_counter()
    count = change(client)
    took_s = time.perf_counter() - began_s
    if count.changed != jobs:
        raise WrongResult(f"{count.changed:,} jobs were changed, and not {jobs:,}")
    return took_s


def _flow_case(name: str, rounds: list[FlowResult]) -> Case:
    costs = cost_metrics([each.measurement for each in rounds], "messages")
    return Case(
        name, [*latency_metrics([each.latencies for each in rounds]), *costs[1:]]
    )  # the rate is given


def _verb_case(verb: str, jobs: int, seconds: list[float]) -> Case:
    rates = [jobs / each for each in seconds]
    return Case(
        f"{verb} all",
        [Metric("seconds", "s", seconds, "less", None, 1), Metric("rate", "jobs/s", rates, "more")],
    )
