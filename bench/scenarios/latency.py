"""`latency`: the time from when a message is due until a reader of committed records has it.

Messages come at steady rates and do not wait for the tracker. The ceiling takes messages as soon as they
come, so its latency is about that of Kafka's transactions.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.contenders import Contender
from bench.drain import STALL_TIMEOUT_S, CostMeter, Measurement, warm_up_with
from bench.flow import Arrivals, Reader, Sender
from bench.outcome import Case, Outcome, latency_metrics, size_text
from bench.scenarios.throughput import CEILING, cost_metrics
from bench.session import WARM_UP_MESSAGES, BenchSession, Options
from bench.verify import verify_jobs, verify_messages
from bench.workload import Size, TasksInTurn, Topics, Workload

_RATES = (1_000, 10_000)
_FULL_RATES = (1_000, 3_000, 10_000, 20_000, 40_000)
_SECONDS, _QUICK_SECONDS = 15, 4
_JOBS = 200
_WARM_UP_RATE = 2_000
_GOAL_MS = (20.0, 100.0)
TRACKER = "tracker"


@dataclass(frozen=True)
class FlowResult:
    """The latencies of one contender at one rate, in seconds, and their cost."""

    latencies: Sequence[float]
    measurement: Measurement


class Latency:
    name = "latency"
    description = "from when a message is due until it is visible at its destination, at steady rates"
    quick = usual = True

    def steps(self, options: Options) -> int:
        return 2 * options.rounds + 1

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        rates = _FULL_RATES if options.full else _RATES
        seconds = _QUICK_SECONDS if options.quick else _SECONDS
        found: dict[tuple[str, int], list[FlowResult]] = {}
        with session.progress.step("latency: warming up for small transactions"):
            # Java compiles the code for small transactions only after about ten thousand of them. Until then,
            # and while it compiles, the broker takes twice as much CPU time.
            _ceiling(session, [_WARM_UP_RATE], seconds=2 * seconds)
        for contender in session.turns(self.name, [CEILING, TRACKER]):
            measure = _ceiling if contender == CEILING else measure_tracker
            for rate, flowed in measure(session, rates, seconds).items():
                found.setdefault((contender, rate), []).append(flowed)
        cases = [
            _case(contender, rate, found[contender, rate])
            for rate in rates
            for contender in (CEILING, TRACKER)
        ]
        raw = {
            f"{contender}, {rate}/s": [asdict(each.measurement) for each in rounds]
            for (contender, rate), rounds in found.items()
        }
        size = size_text(sum(rates) * seconds, "messages", options.workers, options.rounds)
        return Outcome(size=f"{size}; {seconds} s at each rate", cases=cases, raw=raw)


SCENARIO = Latency()


def measure_tracker(
    session: BenchSession,
    rates: Sequence[int],
    seconds: float,
    *,
    workers: int | None = None,
    variables: dict[str, str] | None = None,
) -> dict[int, FlowResult]:
    """Measure the tracker at these rates, one after the other, and verify the results."""
    topics = session.topics()
    warm_up, workloads = workloads_at(topics, rates, seconds, session.options.seed)
    jobs = [job for workload in (warm_up, *workloads.values()) for job in workload.jobs()]
    with session.tracker(topics, jobs, workers=workers, variables=variables) as tracked:
        found = {}
        warm_up_with(session.servers, tracked.contender, warm_up)
        for rate, workload in workloads.items():
            found[rate], first = flow(session, tracked.contender, workload, rate)
            clients = session.servers.clients
            verify_messages(clients, topics.destination, first, workload.size, workload.forwarded)
            status, percentage = workload.expected_status, workload.expected_percentage
            verify_jobs(tracked.database_url, workload.job_ids, status, percentage)
    return found


def _ceiling(session: BenchSession, rates: Sequence[int], seconds: float) -> dict[int, FlowResult]:
    topics = session.topics()
    warm_up, workloads = workloads_at(topics, rates, seconds, session.options.seed)
    with session.ceiling(topics, eager=True) as contender:
        found = {}
        warm_up_with(session.servers, contender, warm_up)
        for rate, workload in workloads.items():
            found[rate], first = flow(session, contender, workload, rate)
            clients = session.servers.clients
            verify_messages(clients, topics.destination, first, workload.size, workload.sent)
    return found


def workloads_at(
    topics: Topics, rates: Sequence[int], seconds: float, seed: int
) -> tuple[Workload, dict[int, Workload]]:
    """Return messages to warm up with, and the messages of each rate."""
    warm_up = TasksInTurn(topics, Size(WARM_UP_MESSAGES, seed, "warm"), jobs=_JOBS)
    sizes = {rate: Size(round(rate * seconds), seed, f"at-{rate}") for rate in rates}
    return warm_up, {rate: TasksInTurn(topics, size, jobs=_JOBS) for rate, size in sizes.items()}


def flow(
    session: BenchSession, contender: Contender, workload: Workload, rate: int
) -> tuple[FlowResult, dict[int, int]]:
    """Send the messages at the rate; return the result, and where in the destination they begin."""
    topics, clients = workload.topics, session.servers.clients
    messages = list(workload.messages())
    arrivals = Arrivals(workload.size)
    sender = Sender(clients, topics.tracking)
    with Reader(clients, topics.destination, topics.kafka_partitions, arrivals.record) as reader:
        meter = CostMeter(session.servers, contender)
        began = time.monotonic()
        sender.send_at_rate(messages, rate, began)
        arrivals.wait([contender.check, reader.check], STALL_TIMEOUT_S)
        measurement = meter.measure(workload.size, time.monotonic() - began, [])
        first = reader.first
    latencies = [at - (began + number / rate) for number, at in enumerate(arrivals.times)]
    return FlowResult(latencies, measurement), first


def _case(contender: str, rate: int, rounds: Sequence[FlowResult]) -> Case:
    goal_ms = _GOAL_MS if contender == TRACKER and rate in _RATES else None
    metrics = latency_metrics([each.latencies for each in rounds], goal_ms=goal_ms)
    metrics += cost_metrics([each.measurement for each in rounds], "messages")[
        1:
    ]  # without the rate, which is given
    return Case(f"{contender}, {rate:,}/s", metrics, at=rate)
