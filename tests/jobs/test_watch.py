"""Watching jobs: what comes when, what is asked for it, and when it ends."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from tests.support.applied_reports import Reports, open_reports
from tests.support.client_fixtures import Connection
from tests.support.jobs import job, set_status
from tracker import Client, JobNotFound, JobStatus, WaitTimedOut, WatchedJob
from tracker.jobs import watch
from tracker.store.steps import Feed, Prepared, Sleep

T = TypeVar("T")
JOB = "acme:job"


class Clock:
    """Time passes only while a watch sleeps."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.slept_s: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    fake = SimpleNamespace(monotonic=lambda: clock.seconds, time_ns=lambda: int(clock.seconds * 1e9))
    monkeypatch.setattr(watch, "time", fake)
    return clock


@pytest.fixture
def reports(client: Client, database_url: str) -> Iterator[Reports]:
    """Reports on `acme:job`, which is stored."""
    client.submit([job("job", partition_id="acme")])
    with open_reports(database_url) as reports:
        yield reports


def drive(client: Client, clock: Clock, feed: Feed[T], *acts: Callable[[], Any]) -> Iterator[list[T]]:
    """Yield what comes of each look; before each further look, do the next of `acts`. Then stop."""
    steps = feed.begin()
    remaining = iter(acts)
    rows: list[tuple[Any, ...]] | None = None
    while True:
        try:
            step = next(steps) if rows is None else steps.send(rows)
        except StopIteration:
            return
        rows = []
        if isinstance(step, Prepared):
            rows = client.run(step)
        elif isinstance(step, Sleep):
            act = next(remaining, None)
            if act is None:
                return
            act()
            clock.sleep(step.seconds)
        else:
            yield list(step)


def nothing() -> None:
    """Let a second pass."""


def of(items: list[WatchedJob]) -> list[tuple[str, JobStatus | None, float]]:
    return [(str(item), item.status, item.percentage_complete) for item in items]


def test_each_job_comes_as_it_is_found_and_when_it_has_changed(
    client: Client, connection: Connection, clock: Clock
) -> None:
    client.submit([job("a"), job("b")])
    looks = drive(
        client,
        clock,
        watch.watch_jobs(["b", "a", "b"]),
        lambda: set_status(connection, "a", JobStatus.ACTIVE),
        nothing,
        lambda: set_status(connection, "b", JobStatus.CANCELLED),
        lambda: connection.execute("UPDATE job SET percentage = 12345678 WHERE job_id = 'a'"),
        lambda: connection.execute("UPDATE job SET percentage = 12345999 WHERE job_id = 'a'"),
        lambda: set_status(connection, "a", JobStatus.FAILED),
    )
    assert [of(look) for look in looks] == [
        [("default:b", "Waiting", 0), ("default:a", "Waiting", 0)],
        [("default:a", "Active", 0)],
        [],
        [("default:b", "Cancelled", 0)],
        [("default:a", "Active", 12.35)],
        [],
        [("default:a", "Failed", 12.35)],
    ]
    assert clock.slept_s == [1.0] * 6


def test_both_clients_watch_until_the_end(
    client: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PAUSE_S", 0.02)
    client.submit([job("a"), job("b")])
    set_status(connection, "b", JobStatus.COMPLETED)
    thread = threading.Timer(0.1, lambda: set_status(connection, "a", JobStatus.COMPLETED))
    thread.start()
    seen = list(client.watch(["a", "b"]))
    thread.join()
    assert {str(item): item.status for item in seen} == dict.fromkeys(
        ("default:a", "default:b"), JobStatus.COMPLETED
    )
    assert len(seen) == len({(str(item), item.status) for item in seen})


def test_no_jobs_have_ended(client: Client) -> None:
    assert list(client.watch([])) == []


def test_progress_never_runs_backwards(client: Client, reports: Reports, clock: Clock) -> None:
    looks = drive(
        client,
        clock,
        watch.watch_jobs(JOB),
        lambda: reports.complete(*(f"{JOB}.{number}" for number in range(1, 10))),
        lambda: reports.progress(f"{JOB}.100"),  # 9 of 101, not of 10
        lambda: reports.progress(f"{JOB}.100*"),
        lambda: reports.complete(*(f"{JOB}.{number}" for number in range(10, 96))),
        lambda: reports.complete(*(f"{JOB}.{number}" for number in range(96, 101))),
    )
    found = list(looks)
    assert client.get(JOB).percentage_complete == 100
    assert [of(look) for look in found] == [
        [(JOB, "Waiting", 0)],
        [(JOB, "Active", 90)],
        [],
        [],
        [(JOB, "Active", 95.4)],
        [(JOB, "Completed", 100)],
    ]


def test_a_retry_begins_at_0(client: Client, reports: Reports, clock: Clock) -> None:
    client.submit([job("other")])
    looks = drive(
        client,
        clock,
        watch.watch_jobs([JOB, "other"]),
        lambda: reports.complete(f"{JOB}.1", f"{JOB}.2"),
        lambda: reports.fail(f"{JOB}.4*"),
        lambda: client.retry(JOB),
    )
    assert [of(look)[-1][1:] for look in looks][1:] == [("Active", 66.67), ("Failed", 66.67), ("Waiting", 0)]


def test_a_rate_in_tasks_and_no_time_while_their_number_is_unknown(
    client: Client, reports: Reports, clock: Clock
) -> None:
    def complete(first: int) -> Callable[[], None]:
        return lambda: reports.complete(*(f"{JOB}.{number}" for number in range(first, first + 5)))

    feed = watch.follow_jobs(JOB, lambda tracks: [track.shown() for track in tracks])
    acts = [complete(1 + 5 * second) for second in range(20)]
    [last] = list(drive(client, clock, feed, *acts))[-1]
    assert last.estimate
    assert last.tasks_per_second == pytest.approx(5)
    assert (last.percent_per_second, last.time_left) == (None, None)


def test_the_time_left_of_steady_progress(client: Client, reports: Reports, clock: Clock) -> None:
    reports.progress(f"{JOB}.200*", percentage=1)
    feed = watch.follow_jobs(JOB, lambda tracks: [track.shown() for track in tracks])

    def complete(number: int) -> Callable[[], None]:
        return lambda: reports.complete(f"{JOB}.{2 * number + 1}", f"{JOB}.{2 * number + 2}")

    [last] = list(drive(client, clock, feed, *(complete(number) for number in range(50))))[-1]
    assert not last.estimate
    assert last.tasks_per_second == pytest.approx(2, abs=0.01)
    assert last.percent_per_second == pytest.approx(1, abs=0.01)
    assert last.time_left is not None
    assert 45 <= last.time_left.low <= 50 <= last.time_left.high <= 55


def test_an_estimate_is_no_progress_that_is_measured(client: Client, reports: Reports, clock: Clock) -> None:
    feed = watch.follow_jobs(JOB, lambda tracks: [track.shown() for track in tracks])
    acts: list[Callable[[], Any]] = [
        lambda: reports.complete(*(f"{JOB}.{number}" for number in range(1, 10))),  # 90 %, as it seems
        lambda: reports.progress(f"{JOB}.109*", percentage=1),
        *(partial(reports.complete, f"{JOB}.{number}") for number in range(10, 60)),
    ]
    [last] = list(drive(client, clock, feed, *acts))[-1]
    assert last.percentage_complete == 90
    assert last.percent_per_second == pytest.approx(100 / 109, abs=0.01)
    assert last.time_left is not None
    assert 45 <= last.time_left.low <= 50 <= last.time_left.high <= 55


def test_a_pause_is_no_slow_progress(client: Client, reports: Reports, clock: Clock) -> None:
    reports.progress(f"{JOB}.200*", percentage=1)
    feed = watch.follow_jobs(JOB, lambda tracks: [track.shown() for track in tracks])
    acts: list[Callable[[], Any]] = [
        lambda: client.pause(JOB),
        *[nothing] * 20,
        lambda: client.resume(JOB),
        *(partial(reports.complete, f"{JOB}.{number}") for number in range(1, 10)),
    ]
    [last] = list(drive(client, clock, feed, *acts))[-1]
    assert last.tasks_per_second == pytest.approx(1)
    assert last.percent_per_second == pytest.approx(0.5)


def test_what_does_not_run_has_no_rate(client: Client, reports: Reports, clock: Clock) -> None:
    reports.progress(f"{JOB}.200*", percentage=1)
    feed = watch.follow_jobs(JOB, lambda tracks: [track.shown() for track in tracks])
    acts = [
        lambda: reports.complete(f"{JOB}.1"),
        lambda: reports.complete(f"{JOB}.2"),
        lambda: client.pause(JOB),
    ]
    [*_, active, paused] = list(drive(client, clock, feed, *acts))
    assert active[0].tasks_per_second is not None
    rates = paused[0].tasks_per_second, paused[0].percent_per_second, paused[0].time_left
    assert (paused[0].status, rates) == (JobStatus.PAUSED, (None, None, None))


def test_prerequisites_are_watched_too_also_those_that_are_not_there_yet(
    client: Client, connection: Connection, clock: Clock
) -> None:
    client.submit([job("a", "b", "later"), job("b", "c"), job("c"), job("d")])
    looks = drive(
        client,
        clock,
        watch.watch_jobs("a", prerequisites=True),
        lambda: client.submit([job("later", "d")]),
        nothing,
        lambda: set_status(connection, "a", JobStatus.CANCELLED),
    )
    first, second, third, last = [of(look) for look in looks]
    assert first[0][0] == "default:a"
    assert sorted(first) == [
        ("default:a", "Waiting", 0),
        ("default:b", "Waiting", 0),
        ("default:c", "Waiting", 0),
        ("default:later", None, 0),
    ]
    assert (second, third) == ([("default:later", "Waiting", 0)], [("default:d", "Waiting", 0)])
    assert last == [("default:a", "Cancelled", 0)]  # whatever becomes of the others


def test_one_query_a_look_however_many_jobs(client: Client, clock: Clock) -> None:
    client.submit([job("a", *(f"p{number}" for number in range(50)))])
    client.submit([job(f"p{number}", "root") for number in range(50)])
    steps = watch.watch_jobs("a", prerequisites=True).begin()
    step = next(steps)
    kinds: list[str] = []
    while kinds.count("Sleep") < 3:
        kinds.append(type(step).__name__)
        step = steps.send(client.run(step) if isinstance(step, Prepared) else [])
    assert kinds == ["Prepared", *["Prepared", "list", "Sleep"] * 3]


def test_after_a_slow_answer_the_pause_is_longer(client: Client, clock: Clock) -> None:
    client.submit([job("a")])

    steps = watch.watch_jobs("a").begin()
    asked = next(steps)
    assert isinstance(asked, Prepared)
    rows = client.run(asked)
    clock.seconds += 2
    steps.send(rows)
    pause = next(steps)
    assert isinstance(pause, Sleep)
    assert pause.seconds == 8


def test_a_job_that_is_not_there_or_is_deleted_meanwhile_is_an_error(
    client: Client, connection: Connection, clock: Clock
) -> None:
    with pytest.raises(JobNotFound, match="default:a"):
        list(client.watch("a"))
    client.submit([job("a")])
    looks = drive(client, clock, watch.watch_jobs("a"), lambda: connection.execute("DELETE FROM job"))
    with pytest.raises(JobNotFound, match="default:a"):
        list(looks)


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.CANCELLED, JobStatus.FAILED])
def test_a_job_that_has_ended_may_be_removed(
    client: Client, connection: Connection, clock: Clock, status: JobStatus
) -> None:
    client.submit([job("a"), job("b")])
    looks = drive(
        client,
        clock,
        watch.watch_jobs(["a", "b"]),
        lambda: set_status(connection, "a", status),
        lambda: connection.execute("DELETE FROM job WHERE job_id = 'a'"),
        lambda: set_status(connection, "b", JobStatus.COMPLETED),
    )
    assert [of(look) for look in looks][1:] == [
        [("default:a", status, 0)],
        [],
        [("default:b", "Completed", 0)],
    ]


def test_time_may_be_up(client: Client, clock: Clock) -> None:
    client.submit([job("a"), job("b")])
    looks = drive(client, clock, watch.watch_jobs(["a", "b"], timeout=2.5), *[nothing] * 10)
    with pytest.raises(WaitTimedOut, match=r"after 2.5 s: default:a, default:b"):
        list(looks)
    assert clock.slept_s == [1, 1, 0.5]


def test_the_watch_holds_no_connection(database_url: str) -> None:
    with Client(database_url, max_connections=1) as client:
        client.submit([job("a")])
        watched = client.watch("a")
        assert next(watched).status is JobStatus.WAITING
        client.cancel("a")
        assert [item.status for item in watched] == [JobStatus.CANCELLED]
