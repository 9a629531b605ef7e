"""`lists`: how long a list or a count takes, with many jobs in the database, of which few have not completed.

Each question is asked through `Client`, some times in a row; the first time warms up. So the figures have the
client's part in them: about 2 ms for a page of 100 jobs.
"""

import time
from collections.abc import Callable
from statistics import median

from bench.errors import WrongResult
from bench.outcome import Case, Metric, Outcome, rounds_text
from bench.session import BenchSession, Options
from tracker import Client
from tracker.store.connect import connect

_JOBS, _QUICK_JOBS, _FULL_JOBS = 1_000_000, 20_000, 10_000_000
_TENANTS = 1_000
_PAGE = 100
_TIMES = 5
_GOAL_MS = 50.0
_OPEN_EVERY = 1_000  # one job of so many has not completed

Question = Callable[[Client], object]
OPEN_STATUSES = ("Waiting", "Active", "Paused", "Failed", "Cancelled")


def questions() -> dict[str, Question]:
    """Return what is asked; the largest tenant has half of the jobs."""
    asked: dict[str, Question] = {}
    for status in OPEN_STATUSES:
        asked[f"list of {status}"] = lambda client, status=status: client.list(status=status, limit=_PAGE)  # type: ignore[misc]
        asked[f"count of {status}"] = lambda client, status=status: client.count(status=status)  # type: ignore[misc]
    large: dict[str, str] = {"partition_id": "tenant-1"}
    return asked | {
        "Failed of one tenant": lambda client: client.list(status="Failed", limit=_PAGE, **large),
        "newest": lambda client: client.list(limit=_PAGE),
        "newest of one tenant": lambda client: client.list(limit=_PAGE, **large),
        "Completed": lambda client: client.list(status="Completed", limit=_PAGE),
        "by ID": lambda client: client.list(sort="id", limit=_PAGE),
        "by ID, of one tenant": lambda client: client.list(sort="id", limit=_PAGE, **large),
        "by last update, of one tenant": lambda client: client.list(
            sort="-lastUpdateTime", limit=_PAGE, **large
        ),
        "by a label that all have": lambda client: client.list(label="kind=batch", limit=_PAGE),
        "by a label that few have": lambda client: client.list(label="urgent=yes", limit=_PAGE),
        "by a prefix of the ID": lambda client: client.list(prefix="job-77", limit=_PAGE),
        "count of all, estimated": lambda client: client.count_or_estimate(),
    }


class Lists:
    name = "lists"
    description = "lists and counts with many jobs in the database, of which 0.1 % have not completed"
    usual = quick = False

    def steps(self, options: Options) -> int:
        return 1 + options.rounds

    def run(self, session: BenchSession) -> Outcome:
        options = session.options
        jobs = _FULL_JOBS if options.full else _QUICK_JOBS if options.quick else _JOBS
        found: dict[str, list[float]] = {name: [] for name in questions()}
        with session.servers.database(session.topics().tracking) as database_url:
            with session.progress.step(f"lists: storing {jobs:,} jobs"):
                fill(database_url, jobs)
            with Client(database_url, max_connections=1) as client:
                _verify(client, jobs)
                for number in range(options.rounds):
                    with session.progress.step(f"lists, round {number + 1} of {options.rounds}"):
                        for name, ask in questions().items():
                            found[name].append(_milliseconds(client, ask))
        return Outcome(
            size=f"{jobs:,} jobs of {_TENANTS:,} tenants, one of which has half; pages of {_PAGE},"
            f" the median of {_TIMES}, {rounds_text(options.rounds)}",
            cases=[
                Case(name, [Metric("ms", "ms", times, "less", _GOAL_MS, 1)]) for name, times in found.items()
            ],
            raw=found,
        )


SCENARIO = Lists()


def fill(database_url: str, jobs: int) -> None:
    """Store jobs, of which one in a thousand has not completed, each with a label, and vacuum the tables."""
    with connect(database_url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute(
            """
            INSERT INTO tenant (partition_id)
            SELECT 'tenant-' || number FROM generate_series(1, %s) AS number
            """,
            [_TENANTS],
        )
        connection.execute(
            """
            INSERT INTO job (
                tenant_key, job_id, status, percentage, content_hash, create_time, last_update_time, end_time
            )
            SELECT
                tenant_key, 'job-' || number, status, 0, decode(md5(number::text), 'hex'), made,
                made + '1 minute', CASE WHEN status >= 3 THEN made + '1 minute'::interval END
            FROM generate_series(1, %(jobs)s) AS number
            CROSS JOIN LATERAL (
                SELECT
                    CASE number %% %(open)s WHEN 7 THEN number / %(open)s %% 5 ELSE 5 END,
                    now() - make_interval(secs => (%(jobs)s - number) * 0.1),
                    'tenant-' || CASE number %% 2 WHEN 0 THEN 1 ELSE 1 + number %% %(tenants)s END
            ) AS drawn (status, made, partition_id)
            JOIN tenant USING (partition_id)
            """,
            {"jobs": jobs, "open": _OPEN_EVERY, "tenants": _TENANTS},
        )
        connection.execute(
            """
            INSERT INTO label (tenant_key, job_key, label_key, label_value)
            SELECT tenant_key, job_key, 'kind', 'batch' FROM job
            UNION ALL SELECT tenant_key, job_key, 'urgent', 'yes' FROM job WHERE job_key %% %s = 11
            """,
            [_OPEN_EVERY],
        )
        connection.execute("VACUUM ANALYZE tenant, job, label")
        connection.execute("CHECKPOINT")


def _verify(client: Client, jobs: int) -> None:
    found = client.count()
    if found != jobs:
        raise WrongResult(f"there are {found:,} jobs, and not {jobs:,}")


def _milliseconds(client: Client, ask: Question) -> float:
    ask(client)
    times = []
    for _ in range(_TIMES):
        began_s = time.perf_counter()
        ask(client)
        times.append((time.perf_counter() - began_s) * 1000)
    return median(times)
