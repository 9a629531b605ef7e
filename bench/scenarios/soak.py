"""`soak`: a mixed load at 70 % of what the tracker can do, for minutes or hours (`--minutes`).

First, for some seconds, as much is sent as comes out again: with the sending and the reading on the same
machine, that is what it can do. Then messages come at 70 % of that, and how memory, latency, tables and dead
rows go is looked at in samples. Each message must arrive once and as it must be, each job be started once and
end as it must. Jobs are removed after a minute (`TRACKER_RETENTION_S`), so that tables need not grow.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.drain import STALL_TIMEOUT_S, Costs, Figures
from bench.flow import Reader, Sender, wait_while
from bench.mixture import Mixture
from bench.outcome import Case, Metric, Outcome
from bench.samples import Sample, Sampler
from bench.scenarios.throughput import MOST_MB, cost_metrics
from bench.session import Options, Session, Tracked

_SHARE = 0.7
_CAPACITY_S = 15.0
_WINDOW = 20_000  # messages on their way while the capacity is measured
_SAMPLES = 120
_LEAST_SAMPLE_S, _MOST_SAMPLE_S = 1.0, 30.0
_RETENTION_S = 60
_JUDGED_MINUTES = 10.0  # shorter runs are still filling up
_FLAT = 1.2
_PAUSE_S = 0.0005
_AT_ONCE = 200  # messages between two looks at the clock

# Records are kept for two minutes only: a million messages are 1.6 GB of topics.
_TOPIC_CONFIG = {"retention.ms": "120000", "segment.bytes": "67108864"}


@dataclass(frozen=True)
class Soaked:
    """What came of it."""

    capacity: float
    figures: Figures
    samples: Sequence[Sample]
    starved_s: float  # for so long there was nothing to send, as jobs were not submitted in time


class Soak:
    name = "soak"
    what = "a mixed load at 70 % of what the tracker can do"
    usual = quick = False

    def steps(self, options: Options) -> int:
        return 1

    def run(self, session: Session) -> Outcome:
        minutes = session.options.minutes
        with session.progress.step(f"soak: a mixed load for {minutes:g} minutes"):
            found = _measure(session, minutes * 60)
        notes = []
        if minutes < _JUDGED_MINUTES:
            notes.append(f"Growth is judged from {_JUDGED_MINUTES:g} minutes on.")
        if found.starved_s > 0.01 * minutes * 60:
            notes.append(f"For {found.starved_s:.0f} s this program had nothing to send.")
        return Outcome(
            size=f"{found.figures.units:,} messages in {minutes:g} minutes, {session.options.workers}"
            " workers; nothing was lost, and nothing came twice",
            cases=[Case("soak", _metrics(found, judged=minutes >= _JUDGED_MINUTES), at=minutes)],
            notes=notes,
            raw={
                "capacity": found.capacity,
                "figures": asdict(found.figures),
                "samples": [asdict(sample) for sample in found.samples],
            },
        )


SCENARIO = Soak()


def _metrics(found: Soaked, *, judged: bool) -> list[Metric]:
    samples = [sample for sample in found.samples if sample.p50_ms is not None]
    third = max(1, len(samples) // 3)
    first, last = samples[:third], samples[-third:]
    flat = _FLAT if judged else None

    def median_of(of: Sequence[Sample], what: Callable[[Sample], float | None]) -> float:
        return median([what(sample) or 0.0 for sample in of])

    def growth(what: Callable[[Sample], float | None]) -> list[float]:
        return [median_of(last, what) / (median_of(first, what) or 1.0)]

    costs = cost_metrics([found.figures], "messages", goal_mb=MOST_MB)
    peak = next(metric for metric in costs if metric.key == "peak_mb")
    end = samples[-1]
    dead_share = end.dead_rows / max(1, end.dead_rows + end.live_rows)
    return [
        Metric("capacity", "it can do, messages/s", [found.capacity], "more"),
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


def _measure(session: Session, seconds: float) -> Soaked:
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
        arrived = Reader(clients, topics.destination, topics.partitions, mixture.on_arrived)
        started = Reader(clients, topics.start, 1, mixture.on_started)
        manager = threading.Thread(target=mixture.manage, name="manager", daemon=True)
        stack.enter_context(arrived)
        stack.enter_context(started)
        manager.start()
        stack.callback(manager.join, STALL_TIMEOUT_S)
        stack.callback(mixture.stopping.set)
        checks = [tracked.contender.check, arrived.check, started.check, mixture.check]
        pump = _Pump(mixture, Sender(clients, topics.tracking), checks)
        capacity = pump.as_much_as_comes_out(min(_CAPACITY_S, seconds))
        return _soak(session, tracked, mixture, pump, capacity, seconds)


def _soak(
    session: Session, tracked: Tracked, mixture: Mixture, pump: "_Pump", capacity: float, seconds: float
) -> Soaked:
    every_s = min(_MOST_SAMPLE_S, max(_LEAST_SAMPLE_S, seconds / _SAMPLES))
    with Sampler(mixture, tracked.contender.pids, tracked.database_url, every_s) as sampler:
        costs = Costs(session.servers, tracked.contender)
        sent_before, began = mixture.sent, time.monotonic()
        starved_s = pump.at_rate(capacity * _SHARE, seconds)
        sent = mixture.sent - sent_before
        figures = costs.figures(sent, time.monotonic() - began, [])
        sampler.check()
    mixture.stopping.set()
    pump.until_done()
    return Soaked(capacity, figures, sampler.samples, starved_s)


class _Pump:
    """Sends what the mixture has."""

    def __init__(self, mixture: Mixture, sender: Sender, checks: Sequence[Callable[[], Any]]) -> None:
        self._mixture = mixture
        self._sender = sender
        self._checks = checks

    def as_much_as_comes_out(self, seconds: float) -> float:
        """Send as long as not too much is on its way; return how many messages a second that is.

        The first third is not counted: in it everything warms up.
        """
        mixture, began = self._mixture, time.monotonic()
        counted_from, sent_before = began + seconds / 3, 0
        while (now := time.monotonic()) < began + seconds:
            if now >= counted_from and not sent_before:
                counted_from, sent_before = now, mixture.sent
            self._check()
            room = min(_AT_ONCE, _WINDOW - len(mixture.on_its_way))
            for _ in range(room):
                if not mixture.send_next(self._sender, time.monotonic()):
                    break
            else:
                if room > 0:
                    continue
            time.sleep(_PAUSE_S)
        return (mixture.sent - sent_before) / (time.monotonic() - counted_from)

    def at_rate(self, rate: float, seconds: float) -> float:
        """Send at a rate, whatever becomes of it; return for how long there was nothing to be sent."""
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

    def until_done(self) -> None:
        """Send what belongs to the jobs that are under way, and wait until all has arrived."""
        mixture = self._mixture

        def left() -> int:
            while mixture.send_next(self._sender, time.monotonic()):
                pass
            return 0 if mixture.done else len(mixture.on_its_way) + 1

        wait_while(left, self._checks, 3 * STALL_TIMEOUT_S, "messages have not arrived")

    def _check(self) -> None:
        for check in self._checks:
            check()
