"""`scale`: `complete` with more workers, more Kafka partitions, and more jobs in the database."""

from dataclasses import asdict, dataclass
from functools import partial

from bench.drain import Measurement
from bench.outcome import Case, Metric, Outcome, size_text
from bench.scenarios.complete import COMPLETE
from bench.scenarios.throughput import cost_metrics, drain_ceiling, drain_tracker, ratio_metrics
from bench.session import BenchSession, Options
from bench.workload import KAFKA_PARTITIONS, PARTITION_ID, Size
from tracker.settings.model import available_cpus
from tracker.store.connect import connect

_PARTITIONS = (1, 8, 64)
_FINISHED = (10, 1_000, 100_000)
_FULL_FINISHED = (10, 1_000, 100_000, 10_000_000)
_GOAL_OF_LEAST = 0.9  # a full database costs at most 10 %


@dataclass(frozen=True)
class ScalePoint:
    """The size of one measurement. With `finished`, there is no ceiling, because it has no database."""

    what: str
    count: int
    workers: int
    kafka_partitions: int = KAFKA_PARTITIONS
    finished: int | None = None

    @property
    def name(self) -> str:
        """What a table calls it."""
        return f"{self.what}: {self.count:,}"


class Scale:
    name = "scale"
    description = "complete with more workers, Kafka partitions, and finished jobs in the database"
    usual = quick = False

    def points(self, options: Options) -> list[ScalePoint]:
        """Return the sizes to measure."""
        cpus = available_cpus()
        workers = sorted({*(1 << n for n in range(cpus.bit_length()) if 1 << n <= cpus), cpus})
        kafka_partitions = list(_PARTITIONS)
        finished = list(_FULL_FINISHED if options.full else _FINISHED)
        if options.quick:
            workers, kafka_partitions, finished = workers[:2], kafka_partitions[:2], finished[:2]
        return [
            *(ScalePoint("workers", count, count) for count in workers),
            *(ScalePoint("Kafka partitions", count, options.workers, count) for count in kafka_partitions),
            *(ScalePoint("finished jobs", count, options.workers, finished=count) for count in finished),
        ]

    def steps(self, options: Options) -> int:
        return options.rounds * sum(1 if point.finished else 2 for point in self.points(options))

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        points = self.points(options)
        tracker: dict[ScalePoint, list[Measurement]] = {point: [] for point in points}
        ceiling: dict[ScalePoint, list[Measurement]] = {point: [] for point in points}
        for number in range(options.rounds):
            for point in points if number % 2 == 0 else reversed(points):
                _measure(session, point, number, ceiling[point], tracker[point])
        least = tracker[next(point for point in points if point.finished)]
        return Outcome(
            size=size_text(options.messages, "messages", options.workers, options.rounds),
            cases=[_case(point, ceiling[point], tracker[point], least) for point in points],
            raw={point.name: [asdict(each) for each in tracker[point]] for point in points},
        )


SCENARIO = Scale()


def _measure(
    session: BenchSession,
    point: ScalePoint,
    number: int,
    ceiling: list[Measurement],
    tracker: list[Measurement],
) -> None:
    size = Size(session.options.messages, session.options.seed)

    def measure_ceiling() -> None:
        measurement = drain_ceiling(
            session, COMPLETE, size, processes=point.workers, kafka_partitions=point.kafka_partitions
        )
        ceiling.append(measurement)

    def measure_tracker() -> None:
        fill = partial(fill_with_finished_jobs, count=point.finished or 0)
        measurement = drain_tracker(
            session,
            COMPLETE,
            size,
            workers=point.workers,
            kafka_partitions=point.kafka_partitions,
            prepare=fill,
        )
        tracker.append(measurement)

    turn = [("tracker", measure_tracker)]
    if point.finished is None:
        turn.insert(0, ("ceiling", measure_ceiling))
    for name, measure in turn if number % 2 == 0 else turn[::-1]:
        text = f"scale, round {number + 1} of {session.options.rounds}: {point.name}, {name}"
        with session.progress.step(text):
            measure()


def _case(
    point: ScalePoint, ceiling: list[Measurement], tracker: list[Measurement], least: list[Measurement]
) -> Case:
    costs = {metric.key: metric for metric in cost_metrics(tracker, "messages")}
    metrics = [costs[key] for key in ("rate", "cpu_us", "peak_mb") if key in costs]
    if ceiling:
        rates = [each.rate for each in ceiling]
        metrics.append(Metric("ceiling_rate", "ceiling, messages/s", rates, "more"))
        ratios = ratio_metrics(ceiling, tracker, COMPLETE)
        metrics += [Metric("ratio", "ratio to the ceiling", ratios[0].values, "more", None, 2)]
    else:
        of_least = [each.rate / few.rate for each, few in zip(tracker, least, strict=True)]
        metrics.append(Metric("of_least", "ratio to fewest jobs", of_least, "more", _GOAL_OF_LEAST, 2))
    return Case(point.name, metrics, at=point.count)


def fill_with_finished_jobs(database_url: str, *, count: int, ended_s_ago: int = 0) -> None:
    """Insert jobs that have completed, of the same partition ID as the jobs that are measured."""
    if not count:
        return
    with connect(database_url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        tenant = connection.execute(
            "INSERT INTO tenant (partition_id) VALUES (%s) RETURNING tenant_key", [PARTITION_ID]
        ).fetchone()
        assert tenant is not None
        connection.execute(
            """
            INSERT INTO job (
                tenant_key, job_id, status, percentage, content_hash, create_time, last_update_time
            )
            SELECT %s, 'old-' || number, 5, 100000000, decode(md5(number::text), 'hex'), ended, ended
            FROM generate_series(1, %s) AS number, (SELECT now() - make_interval(secs => %s)) AS at (ended)
            """,
            [tenant[0], count, ended_s_ago],
        )
        connection.execute("VACUUM ANALYZE job")
        connection.execute("CHECKPOINT")  # so that its cost is not measured
