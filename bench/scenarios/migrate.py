"""`migrate`: how long each migration takes on a database of 0.1.0 that has many jobs."""

import time

from bench.errors import WrongResult
from bench.outcome import Case, Metric, Outcome, rounds_text
from bench.session import BenchSession, Options
from tracker import Client
from tracker.store.connect import connect
from tracker.store.migrate import migrate

_JOBS, _QUICK_JOBS, _FULL_JOBS = 1_000_000, 10_000, 10_000_000
_RUNNING_EVERY = 1_000  # one job of so many runs
_TASKS = 100  # of a running job
_LAST_OF_0_1_0 = 2
_WHOLE = "all of them"


class Migrate:
    name = "migrate"
    description = "each migration, on a database of 0.1.0 that has many jobs"
    usual = quick = False

    def steps(self, options: Options) -> int:
        return 2 * options.rounds

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        jobs = _FULL_JOBS if options.full else _QUICK_JOBS if options.quick else _JOBS
        found: dict[str, list[float]] = {}
        for number in range(options.rounds):
            round_name = f"migrate, round {number + 1} of {options.rounds}"
            with session.servers.database(session.topics().tracking, last_migration=_LAST_OF_0_1_0) as url:
                with session.progress.step(f"{round_name}: storing {jobs:,} jobs"):
                    _fill(url, jobs)
                with session.progress.step(f"{round_name}: migrating"):
                    for name, seconds in _migrate(url).items():
                        found.setdefault(name, []).append(seconds)
                _verify(url, jobs)
        return Outcome(
            size=f"{jobs:,} jobs, of which {jobs // _RUNNING_EVERY:,} run, each with {_TASKS} tasks;"
            f" {rounds_text(options.rounds)}; results verified",
            cases=[
                Case(name, [Metric("seconds", "s", times, "less", None, 2)]) for name, times in found.items()
            ],
            raw=found,
        )


SCENARIO = Migrate()


def _fill(url: str, jobs: int) -> None:
    with connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute("INSERT INTO tenant (partition_id) VALUES ('acme')")
        connection.execute(
            """
            INSERT INTO job (tenant_key, job_id, content_hash, status)
            SELECT 1, 'job-' || number, '', CASE number %% %s WHEN 0 THEN 1 ELSE 5 END
            FROM generate_series(1, %s) AS number
            """,
            [_RUNNING_EVERY, jobs],
        )
        connection.execute(
            """
            INSERT INTO task
            SELECT 1, job_key, path, 0, false, 0, CASE path WHEN '' THEN %(tasks)s ELSE 0 END, 0, 0, 0
            FROM job
            CROSS JOIN (SELECT '' UNION ALL SELECT generate_series(1, %(tasks)s)::text) AS child (path)
            WHERE status = 1
            """,
            {"tasks": _TASKS},
        )
        connection.execute("VACUUM ANALYZE job, task")
        connection.execute("CHECKPOINT")


def _migrate(url: str) -> dict[str, float]:
    """Migrate, and return the seconds of each migration and of all."""
    begun: list[tuple[str, float]] = []
    migrate(url, lambda name: begun.append((name, time.perf_counter())))
    ends = [at for _, at in begun[1:]] + [time.perf_counter()]
    seconds = {name: end - at for (name, at), end in zip(begun, ends, strict=True)}
    return seconds | {_WHOLE: ends[-1] - begun[0][1]}


def _verify(url: str, jobs: int) -> None:
    with Client(url, max_connections=1) as client:
        found = client.count()
        running = client.count(status="Active")
    if (found, running) != (jobs, jobs // _RUNNING_EVERY):
        raise WrongResult(f"there are {found:,} jobs, of which {running:,} run, and not {jobs:,}")
