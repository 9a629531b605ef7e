"""`soak`: a mixed load at 70 % of what the tracker can do, for minutes or hours (`--minutes`).

First, it measures the capacity: for some seconds, it sends as many messages as arrive, with sender and reader
on the same machine. Then it sends 70 % of that rate, and samples memory, latency, tables and dead rows. It
checks that each message arrives once and as it must, and that each job is started once and ends as it must.
Jobs are removed after a minute (`TRACKER_RETENTION_S`), so tables need not grow.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.drain import STALL_TIMEOUT_S, CostMeter, Measurement
from bench.flow import Reader, Sender, wait_for_zero
from bench.mixture import Mixture
from bench.outcome import Case, Metric, Outcome
from bench.samples import Sample, Sampler
from bench.scenarios.throughput import MAX_MEMORY_MB, cost_metrics
from bench.session import BenchSession, Options, RunningTracker

_SHARE = 0.7
_CAPACITY_S = 15.0
_WINDOW = 20_000  # messages in flight while the capacity is measured
_SAMPLES = 120
_MIN_SAMPLE_S, _MAX_SAMPLE_S = 1.0, 30.0
_RETENTION_S = 60
_JUDGED_MINUTES = 10.0  # in shorter runs, the tables still fill
_FLAT = 1.2
_PAUSE_S = 0.0005
_BURST = 200  # messages between two readings of the clock

# Records are kept for only two minutes: a million messages take 1.6 GB of topics.
_TOPIC_CONFIG = {"retention.ms": "120000", "segment.bytes": "67108864"}


@dataclass(frozen=True)
class SoakResult:
    """The result of a soak."""

    capacity: float
    measurement: Measurement
    samples: Sequence[Sample]
    starved_s: float  # time without a message to send, because jobs were not submitted in time


class Soak:
    name = "soak"
    description = "a mixed load at 70 % of what the tracker can do"
    usual = quick = False

    def steps(self, options: Options) -> int:
        return 1

    def run(self, session: BenchSession) -> Outcome:
        minutes = session.options.minutes
        with session.progress.step(f"soak: a mixed load for {minutes:g} minutes"):
            found = _measure(session, minutes * 60)
        notes = []
        if minutes < _JUDGED_MINUTES:
            notes.append(f"Growth is judged only in runs of at least {_JUDGED_MINUTES:g} minutes.")
        if found.starved_s > 0.01 * minutes * 60:
            notes.append(f"For {found.starved_s:.0f} s the benchmark had nothing to send.")
        return Outcome(
            size=f"{found.measurement.units:,} messages in {minutes:g} minutes, {session.options.workers}"
            " workers; no message was lost, and none arrived twice",
            cases=[Case("soak", _metrics(found, judged=minutes >= _JUDGED_MINUTES), at=minutes)],
            notes=notes,
            raw={
                "capacity": found.capacity,
                "figures": asdict(found.measurement),
                "samples": [asdict(sample) for sample in found.samples],
            },
        )


SCENARIO = Soak()


def _metrics(found: SoakResult, *, judged: bool) -> list[Metric]:
    samples = [sample for sample in found.samples if sample.p50_ms is not None]
    third = max(1, len(samples) // 3)
    first, last = samples[:third], samples[-third:]
    flat = _FLAT if judged else None

    def median_of(of: Sequence[Sample], what: Callable[[Sample], float | None]) -> float:
        return median([what(sample) or 0.0 for sample in of])

    def growth(what: Callable[[Sample], float | None]) -> list[float]:
        return [median_of(last, what) / (median_of(first, what) or 1.0)]

    costs = cost_metrics([found.measurement], "messages", goal_mb=MAX_MEMORY_MB)
    peak = next(metric for metric in costs if metric.key == "peak_mb")
    end = samples[-1]
    dead_share = end.dead_rows / max(1, end.dead_rows + end.live_rows)
    return [
        Metric("capacity", "capacity, messages/s", [found.capacity], "more"),
        Metric("rate", "sent, messages/s", [median_of(samples, lambda sample: sample.rate)]),
        Metric("p50_ms", "p50 ms", [median_of(samples, lambda sample: sample.p50_ms)], "less", None, 1),
        Metric("p99_ms", "p99 ms", [median_of(samples, lambda sample: sample.p99_ms)], "less", None, 1),
        Metric("latency_growth", "p50, last third / first", growth(lambda s: s.p50_ms), "less", flat, 2),
        peak,
        Metric(
            "memory_growth", "memory, last third / first", growth(lambda s: s.most_memory_mb), "less", flat, 2
        ),
        Metric("tables_mb", "tables at the end, MB", [end.tables_mb], "less", None, 1),
        Metric("tables_growth", "tables, last third / first", growth(lambda s: s.tables_mb), "less", flat, 2),
        Metric("dead_share", "dead rows at the end, share", [dead_share], "less", None, 2),
        *(metric for metric in costs if metric.key not in ("rate", "peak_mb")),
    ]


def _measure(session: BenchSession, seconds: float) -> SoakResult:
    topics, clients = session.topics(), session.servers.clients
    variables = {
        "TRACKER_RETENTION_S": str(_RETENTION_S),
        "TRACKER_RETENTION_FAILED_S": str(_RETENTION_S),
    }
    with ExitStack() as stack:
        tracked = stack.enter_context(
            session.tracker(topics, [], variables=variables, topic_config=_TOPIC_CONFIG)
        )
        mixture = Mixture(topics, tracked.database_url, session.options.seed)
        arrived = Reader(clients, topics.destination, topics.kafka_partitions, mixture.on_arrivals)
        started = Reader(clients, topics.start, 1, mixture.on_starts)
        manager = threading.Thread(target=mixture.submit_and_verify, name="manager", daemon=True)
        stack.enter_context(arrived)
        stack.enter_context(started)
        manager.start()
        stack.callback(manager.join, STALL_TIMEOUT_S)
        stack.callback(mixture.stopping.set)
        checks = [tracked.contender.check, arrived.check, started.check, mixture.check]
        sender = _MixtureSender(mixture, Sender(clients, topics.tracking), checks)
        capacity = sender.measure_capacity(min(_CAPACITY_S, seconds))
        return _soak(session, tracked, mixture, sender, capacity, seconds)


def _soak(
    session: BenchSession,
    tracked: RunningTracker,
    mixture: Mixture,
    sender: "_MixtureSender",
    capacity: float,
    seconds: float,
) -> SoakResult:
    every_s = min(_MAX_SAMPLE_S, max(_MIN_SAMPLE_S, seconds / _SAMPLES))
    with Sampler(mixture, tracked.contender.pids, tracked.database_url, every_s) as sampler:
        meter = CostMeter(session.servers, tracked.contender)
        sent_before, began = mixture.sent, time.monotonic()
        starved_s = sender.send_at_rate(capacity * _SHARE, seconds)
        sent = mixture.sent - sent_before
        measurement = meter.measure(sent, time.monotonic() - began, [])
        sampler.check()
    mixture.stopping.set()
    sender.drain()
    return SoakResult(capacity, measurement, sampler.samples, starved_s)


class _MixtureSender:
    """Sends the messages of the mixture."""

    def __init__(self, mixture: Mixture, sender: Sender, checks: Sequence[Callable[[], Any]]) -> None:
        self._mixture = mixture
        self._sender = sender
        self._checks = checks

    def measure_capacity(self, seconds: float) -> float:
        """Send with a limited number of messages in flight; return the messages a second.

        The first third does not count, because everything warms up in it.
        """
        mixture, began = self._mixture, time.monotonic()
        counted_from, sent_before = began + seconds / 3, 0
        while (now := time.monotonic()) < began + seconds:
            if now >= counted_from and not sent_before:
                counted_from, sent_before = now, mixture.sent
            self._check()
            room = min(_BURST, _WINDOW - len(mixture.in_flight))
            for _ in range(room):
                if not mixture.send_next(self._sender, time.monotonic()):
                    break
            else:
                if room > 0:
                    continue
            time.sleep(_PAUSE_S)
        return (mixture.sent - sent_before) / (time.monotonic() - counted_from)

    def send_at_rate(self, rate: float, seconds: float) -> float:
        """Send at a rate, without waiting for results; return how long there was nothing to send."""
        mixture = self._mixture
        began, sent, starved_s = time.monotonic(), 0, 0.0
        while (now := time.monotonic()) - began < seconds:
            self._check()
            due = int((now - began - starved_s) * rate)
            while sent < due:
                if not mixture.send_next(self._sender, began + starved_s + sent / rate):
                    starved_s += time.monotonic() - (began + starved_s + sent / rate)
                    break
                sent += 1
            time.sleep(_PAUSE_S)
        return starved_s

    def drain(self) -> None:
        """Send the remaining messages of the present waves, and wait until all have arrived."""
        mixture = self._mixture

        def remaining() -> int:
            while mixture.send_next(self._sender, time.monotonic()):
                pass
            return 0 if mixture.finished else len(mixture.in_flight) + 1

        wait_for_zero(remaining, self._checks, 3 * STALL_TIMEOUT_S, "messages have not arrived")

    def _check(self) -> None:
        for check in self._checks:
            check()
