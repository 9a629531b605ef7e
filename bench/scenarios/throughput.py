"""The ceiling and the tracker drain a backlog of messages at full speed, in turn."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median

from bench.ceiling_settings import ONE_PARTITION, SEVERAL_PARTITIONS, CeilingSettings
from bench.drain import Measurement, drain
from bench.outcome import Case, Metric, Outcome, size_text
from bench.session import WARM_UP_MESSAGES, BenchSession, Options, RunningTracker
from bench.verify import verify_count, verify_jobs, verify_messages
from bench.workload import Size, Topics, Workload
from tracker.settings.model import available_cpus

CEILING = "ceiling"
MAX_MEMORY_MB = 300.0
"""The goal for the memory of a worker, with default settings and any backlog."""
MAX_DISTURBANCE = 0.05
"""The share of the machine's CPUs that others may use in a round before the outcome counts as disturbed."""

_PARTS = {"contender": "processes", "broker": "broker", "postgresql": "PostgreSQL"}


@dataclass(frozen=True)
class Variant:
    """A variant of the tracker's work, with its goals.

    `goal` is a ratio to the ceiling's rate, `goal_rate` is in units a second, and `goal_cpu` is a ratio to
    the ceiling's CPU time. `before` is called with the tracker and the workload before the messages are
    staged. With `dropped`, no message may be forwarded, and the jobs are not verified.
    """

    name: str
    workload: Callable[[Topics, Size], Workload]
    goal: float | None = None
    goal_rate: float | None = None
    goal_cpu: float | None = None
    before: Callable[[RunningTracker, Workload], None] | None = None
    dropped: bool = False


@dataclass(frozen=True)
class Throughput:
    """A scenario of throughput. The ceiling forwards the messages of the first variant.

    `share` scales the number of messages, for messages that cost more or less than others. With
    `one_partition`, all messages are in one Kafka partition, and so the ceiling has settings of its own.
    """

    name: str
    description: str
    variants: Sequence[Variant]
    quick: bool = True
    usual: bool = True
    quick_variants: int = 1
    share: float = 1.0
    one_partition: bool = False

    def steps(self, options: Options) -> int:
        return options.rounds * (1 + len(self._variants(options)))

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        size = Size(max(1, round(options.messages * self.share)), options.seed)
        variants = self._variants(options)
        found: dict[str, list[Measurement]] = {CEILING: [], **{variant.name: [] for variant in variants}}
        by_name = {variant.name: variant for variant in variants}
        settings = ONE_PARTITION if self.one_partition else SEVERAL_PARTITIONS
        for name in session.turns(self.name, list(found)):
            found[name].append(
                drain_ceiling(session, variants[0], size, settings=settings)
                if name == CEILING
                else drain_tracker(session, by_name[name], size)
            )
        unit = variants[0].workload(session.topics(), replace(size, messages=1)).unit
        units = found[variants[0].name][0].units
        return Outcome(
            size=size_text(units, unit, options.workers, options.rounds),
            cases=[
                Case(CEILING, cost_metrics(found[CEILING], unit)),
                *(
                    Case(
                        variant.name,
                        [
                            *ratio_metrics(found[CEILING], found[variant.name], variant),
                            *cost_metrics(
                                found[variant.name], unit, goal=variant.goal_rate, goal_mb=MAX_MEMORY_MB
                            ),
                        ],
                    )
                    for variant in variants
                ),
            ],
            notes=[*_stages(found, variants), *disturbances(found)],
            raw={name: [asdict(each) for each in rounds] for name, rounds in found.items()},
        )

    def _variants(self, options: Options) -> Sequence[Variant]:
        return self.variants[: self.quick_variants] if options.quick else self.variants


def drain_ceiling(
    session: BenchSession,
    variant: Variant,
    size: Size,
    *,
    processes: int | None = None,
    kafka_partitions: int = 8,
    settings: CeilingSettings = SEVERAL_PARTITIONS,
) -> Measurement:
    """Measure the ceiling."""
    topics = session.topics(kafka_partitions)
    workload = variant.workload(topics, size)
    warm_up = variant.workload(topics, _warm_up(size))
    with session.ceiling(topics, processes=processes, settings=settings) as contender:
        measurement, first = drain(session.servers, contender, warm_up, workload)
        verify_messages(session.servers.clients, topics.destination, first, workload.size, workload.sent)
    return measurement


def drain_tracker(
    session: BenchSession,
    variant: Variant,
    size: Size,
    *,
    workers: int | None = None,
    kafka_partitions: int = 8,
    variables: dict[str, str] | None = None,
    prepare: Callable[[str], None] = lambda _: None,
) -> Measurement:
    """Measure the tracker, and verify the results. `prepare` is called first, with the database's URL."""
    topics = session.topics(kafka_partitions)
    workload = variant.workload(topics, size)
    warm_up = variant.workload(topics, _warm_up(size))
    jobs = [*warm_up.jobs(), *workload.jobs()]
    with session.tracker(topics, jobs, workers=workers, variables=variables, before=prepare) as tracked:
        if variant.before is not None:
            variant.before(tracked, workload)
        measurement, first = drain(session.servers, tracked.contender, warm_up, workload)
        clients = session.servers.clients
        forwarded = 0 if variant.dropped else workload.forwarded_count
        verify_messages(clients, topics.destination, first, forwarded, workload.forwarded)
        verify_count(clients, topics.start, len(jobs))
        verify_count(clients, topics.dead_letters, 0)
        if not variant.dropped:
            verify_jobs(
                tracked.database_url,
                workload.job_ids,
                workload.expected_status,
                workload.expected_percentage,
            )
    return measurement


def cost_metrics(
    rounds: Sequence[Measurement], unit: str, *, goal: float | None = None, goal_mb: float | None = None
) -> list[Metric]:
    """Return the metrics of a contender's rounds, with goals for the rate and for the memory."""
    one = unit.removesuffix("s")
    metrics = [Metric("rate", f"{unit}/s", [each.rate for each in rounds], "more", goal)]
    metrics += cpu_metrics(rounds, one)
    peaks = [each.peak_bytes / 1e6 for each in rounds]
    metrics.append(Metric("peak_mb", "peak memory of a process, MB", peaks, "less", goal_mb))
    wal = [each.wal_bytes / each.units for each in rounds if each.wal_bytes is not None]
    if wal:
        metrics.append(Metric("wal_bytes", f"WAL bytes/{one}", wal, "less", None, 1))
    statements = [each.units / each.statements for each in rounds if each.statements]
    if statements:
        metrics.append(Metric("units_a_statement", f"{unit}/statement", statements, "more", None, 1))
    return metrics


def cpu_metrics(rounds: Sequence[Measurement], one: str) -> list[Metric]:
    """Return the CPU time for each message or report (`one`), by part as far as it is known, and in total."""
    metrics = []
    for part, label in _PARTS.items():
        if part in rounds[0].cpu_seconds:
            spent = [each.cpu_seconds[part] / each.units * 1e6 for each in rounds]
            metrics.append(Metric(f"cpu_us_{part}", f"CPU µs/{one}: {label}", spent, "less", None, 2))
    if "broker" in rounds[0].cpu_seconds:
        spent = [cpu_us(each) for each in rounds]
        metrics.append(Metric("cpu_us", f"CPU µs/{one}: total", spent, "less", None, 2))
    return metrics


def cpu_us(measurement: Measurement) -> float:
    """Return the total CPU time for each message or report."""
    return (
        sum(measurement.cpu_seconds[part] for part in _PARTS if part in measurement.cpu_seconds)
        / measurement.units
        * 1e6
    )


def disturbances(found: dict[str, list[Measurement]]) -> list[str]:
    """Return a sentence if other programs used the machine meanwhile, as far as that can be known."""
    if not all("broker" in each.cpu_seconds for rounds in found.values() for each in rounds):
        return []  # broker and PostgreSQL can be on this machine, and are no disturbance
    cpus = available_cpus()
    shares = [
        each.cpu_seconds["others"] / each.seconds / cpus for rounds in found.values() for each in rounds
    ]
    if max(shares) <= MAX_DISTURBANCE:
        return []
    return [f"Disturbed: other programs used up to {max(shares):.0%} of this machine's CPUs meanwhile."]


def ratio_metrics(ceiling: list[Measurement], tracker: list[Measurement], variant: Variant) -> list[Metric]:
    """Return the ratios of the two, round by round, because a slow round slows both."""
    pairs = list(zip(ceiling, tracker, strict=True))
    ratios = [ours.rate / best.rate for best, ours in pairs]
    metrics = [Metric("ratio", "ratio to the ceiling", ratios, "more", variant.goal, 2)]
    if "broker" in ceiling[0].cpu_seconds:
        factors = [cpu_us(ours) / cpu_us(best) for best, ours in pairs]
        metrics.append(Metric("cpu_factor", "CPU time, ceiling = 1", factors, "less", variant.goal_cpu, 2))
    return metrics


def _stages(found: dict[str, list[Measurement]], variants: Sequence[Variant]) -> list[str]:
    """Return a line for each variant, with the share of time that the workers spent in each stage."""
    notes = []
    for variant in variants:
        rounds = found[variant.name]
        shares = {
            stage: median([each.stage_seconds.get(stage, 0) / each.seconds for each in rounds])
            for stage in rounds[0].stage_seconds
        }
        busy = [f"{stage} {share:.0%}" for stage, share in shares.items() if share >= 0.005]
        if busy:
            notes.append(f"{variant.name}, time in each stage, all workers: {', '.join(busy)}")
    return notes


def _warm_up(size: Size) -> Size:
    return Size(WARM_UP_MESSAGES, size.seed, "warm")
