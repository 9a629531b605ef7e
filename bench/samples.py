"""Sample a long run over time, every few seconds."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.mixture import Mixture
from bench.outcome import percentile
from bench.processes import resident_bytes

_TABLES = """
SELECT relname, pg_total_relation_size(relid), n_live_tup, n_dead_tup
FROM pg_stat_user_tables WHERE schemaname = 'tracker'
"""


@dataclass(frozen=True)
class Sample:
    """The state of a run at one moment, and its rate and latency after the sample before.

    `tables` maps names to (bytes, live rows, dead rows).
    """

    at_s: float
    rate: float
    p50_ms: float | None  # None: no message has arrived
    p99_ms: float | None
    in_flight: int
    most_memory_mb: float  # of the largest process
    tables: dict[str, tuple[int, int, int]]

    @property
    def tables_mb(self) -> float:
        """The size of all tables with their indexes."""
        return sum(size for size, _, _ in self.tables.values()) / 1e6

    @property
    def dead_rows(self) -> int:
        """The dead rows of all tables, as PostgreSQL estimates them."""
        return sum(dead for _, _, dead in self.tables.values())

    @property
    def live_rows(self) -> int:
        """The live rows of all tables, as PostgreSQL estimates them."""
        return sum(live for _, live, _ in self.tables.values())


class Sampler:
    """Takes samples in a thread of its own."""

    def __init__(self, mixture: Mixture, pids: Sequence[int], database_url: str, every_s: float) -> None:
        self.samples: list[Sample] = []
        self._mixture = mixture
        self._pids = pids
        self._database_url = database_url
        self._every_s = every_s
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="sampler")

    def __enter__(self) -> "Sampler":
        self._began = self._last_at = time.monotonic()
        self._last_sent = self._mixture.sent
        self._mixture.latencies = []
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def check(self) -> None:
        """Raise the error that has ended the thread, if there is one."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with psycopg.connect(self._database_url, autocommit=True) as connection:
                while not self._stopping.wait(self._every_s):
                    self.samples.append(self._sample(connection))
        except BaseException as error:  # noqa: BLE001 - raised by `check`
            self._failure = error

    def _sample(self, connection: psycopg.Connection[Any]) -> Sample:
        mixture = self._mixture
        latencies, mixture.latencies = mixture.latencies, []
        now, sent = time.monotonic(), mixture.sent
        ordered = sorted(latencies)
        sample = Sample(
            at_s=round(now - self._began, 1),
            rate=(sent - self._last_sent) / (now - self._last_at),
            p50_ms=percentile(ordered, 0.5) * 1000 if ordered else None,
            p99_ms=percentile(ordered, 0.99) * 1000 if ordered else None,
            in_flight=len(mixture.in_flight),
            most_memory_mb=max([0, *resident_bytes(self._pids)]) / 1e6,
            tables={name: (size, live, dead) for name, size, live, dead in connection.execute(_TABLES)},
        )
        self._last_at, self._last_sent = now, sent
        return sample
