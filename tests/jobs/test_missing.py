"""The tasks that have not completed, of jobs that the worker's own code has stored."""

from collections.abc import Iterator
from contextlib import closing, suppress
from random import Random
from typing import Any

import pytest

from tests.support.applied_reports import Reports, open_reports
from tests.support.client_fixtures import Connection
from tests.support.jobs import job, set_status
from tests.support.model.jobs import Task, gaps
from tests.support.model.naive import NaiveTracker
from tests.support.model.scripts import Step, cut, group, make_script, record_for
from tests.support.model.task_trees import make_tree
from tests.support.sessions import perform
from tracker import Client, InvalidQuery, JobNotFound, JobStatus, MissingState, MissingTasks, TrackerError
from tracker.identifiers import BadIdentifier
from tracker.jobs import unfinished
from tracker.jobs.missing import count_by_state, find_missing
from tracker.store.steps import Query

JOB = "acme:job"
Row = tuple[str | None, int | None, int | None, int | None, str]


@pytest.fixture
def reports(client: Client, database_url: str) -> Iterator[Reports]:
    """Reports on `acme:job`, which is stored."""
    client.submit([job("job", partition_id="acme")])
    with open_reports(database_url) as reports:
        yield reports


def rows_of(client: Client, under: str | None = None, name: str = JOB) -> list[Row]:
    return [as_row(each) for each in client.missing(name, under=under)]


def as_row(found: MissingTasks) -> Row:
    parent = found.parent
    if parent is not None:
        assert parent.startswith("acme:job")
        parent = parent.removeprefix("acme:job").removeprefix(".")
    return parent, found.first, found.last, found.count, str(found.state)


def test_gaps_among_completed_tasks_are_missing(client: Client, reports: Reports) -> None:
    reports.complete(f"{JOB}.2", f"{JOB}.3", f"{JOB}.10*")
    assert rows_of(client) == [("", 1, 1, 1, "missing"), ("", 4, 9, 6, "missing")]


def test_neighbours_in_one_state_are_one_row(client: Client, reports: Reports) -> None:
    reports.progress(f"{JOB}.2", f"{JOB}.3", f"{JOB}.7*")
    reports.fail(f"{JOB}.4", f"{JOB}.5")
    assert rows_of(client) == [
        ("", 1, 1, 1, "missing"),
        ("", 2, 3, 2, "active"),
        ("", 4, 5, 2, "failed"),
        ("", 6, 6, 1, "missing"),
        ("", 7, 7, 1, "active"),
    ]


def test_below_a_task_with_subtasks_in_the_order_of_numbers(client: Client, reports: Reports) -> None:
    reports.complete(f"{JOB}.10.2*", f"{JOB}.2.1.3*", f"{JOB}.11*")
    assert rows_of(client) == [
        ("", 1, 1, 1, "missing"),
        ("2.1", 1, 2, 2, "missing"),
        ("2", 2, None, None, "unknown"),
        ("", 3, 9, 7, "missing"),
        ("10", 1, 1, 1, "missing"),
    ]


def test_a_failed_parent_has_no_row_of_its_own(client: Client, reports: Reports) -> None:
    reports.complete(f"{JOB}.1.2*")
    reports.fail(f"{JOB}.1")
    reports.complete(f"{JOB}.2*")
    assert rows_of(client) == [("1", 1, 1, 1, "missing")]


def test_an_unknown_number_of_subtasks_ends_with_a_row_without_end(client: Client, reports: Reports) -> None:
    reports.complete(f"{JOB}.1", f"{JOB}.2")
    assert rows_of(client) == [("", 3, None, None, "unknown")]


def test_beyond_a_contradicted_last_child(client: Client, reports: Reports) -> None:
    reports.complete(f"{JOB}.2*", f"{JOB}.4")
    assert rows_of(client) == [("", 1, 1, 1, "missing"), ("", 3, 3, 1, "missing")]


def test_a_job_without_subtasks_is_one_row(client: Client, reports: Reports) -> None:
    assert rows_of(client) == [(None, None, None, 1, "missing")]
    reports.progress(JOB)
    assert rows_of(client) == [(None, None, None, 1, "active")]
    reports.fail(JOB)
    assert rows_of(client) == [(None, None, None, 1, "failed")]
    reports.complete(JOB)
    assert rows_of(client) == []


def test_a_job_that_failed_before_it_ran_is_failed(client: Client, connection: Connection) -> None:
    client.submit([job("job", partition_id="acme")])
    set_status(connection, "job", JobStatus.FAILED)
    assert rows_of(client) == [(None, None, None, 1, "failed")]


def test_a_cancelled_job_is_as_it_stood(client: Client, reports: Reports) -> None:
    reports.complete(f"{JOB}.3*")
    client.cancel([JOB])
    assert rows_of(client) == [("", 1, 2, 2, "missing")]


def test_a_job_that_is_not_stored_is_named(client: Client) -> None:
    with pytest.raises(JobNotFound, match="default:nope"):
        list(client.missing("nope"))


def test_below_one_task(client: Client, reports: Reports) -> None:
    reports.complete(f"{JOB}.3.2*", f"{JOB}.4", f"{JOB}.300*.300", f"{JOB}.5.5000.2*")
    reports.progress(f"{JOB}.6")
    cases: dict[str, list[Row]] = {
        "": rows_of(client),
        ".3": [("3", 1, 1, 1, "missing")],
        ".3*": [("3", 1, 1, 1, "missing")],
        ".3.1": [("3", 1, 1, 1, "missing")],
        ".3.2": [],
        ".4": [],
        ".4.1": [],
        ".5.5000": [("5.5000", 1, 1, 1, "missing")],
        ".5.4999": [("5", 4999, 4999, 1, "missing")],
        ".5.904": [("5", 904, 904, 1, "missing")],  # its bit is that of 5000 in the next block
        ".5.5000.1": [("5.5000", 1, 1, 1, "missing")],
        ".5.5000.2": [],
        ".5.5001.7": [("5.5001", 7, 7, 1, "missing")],
        ".6": [("", 6, 6, 1, "active")],
        ".7": [("", 7, 7, 1, "missing")],
        ".300": [("300", 1, 299, 299, "missing"), ("300", 301, None, None, "unknown")],
    }
    assert {task: rows_of(client, JOB + task) for task in cases} == cases


def test_what_is_no_task_of_the_job_is_refused(client: Client, reports: Reports) -> None:
    reports.complete(f"{JOB}.3*.2*")
    for under in ("acme:other.1", f"{JOB}.4", f"{JOB}.3.3", 7):
        with pytest.raises(InvalidQuery):
            list(client.missing(JOB, under=under))  # type: ignore[arg-type]
    with pytest.raises(BadIdentifier):
        list(client.missing(JOB, under=f"{JOB}.0"))


def test_numbers_at_the_bounds_of_blocks_and_rows(client: Client, reports: Reports) -> None:
    bounds = [1, 31, 32, 33, 255, 256, 257, 4095, 4096, 4097, 8192, 8193, 2_147_483_647]
    reports.complete(*(f"{JOB}.{number}" for number in bounds))
    highest = ("", 2_147_483_648, None, None, "unknown")
    between = [("", first, last, last - first + 1, "missing") for first, last in gaps({*bounds}, bounds[-1])]
    assert rows_of(client) == [*between, highest]
    for leaf in bounds:
        reports.progress(f"{JOB}.8194.{leaf}")
    below = [("8194", first, last, last - first + 1, state) for first, last, state in _with_active(bounds)]
    at = between.index(("", 8194, 2_147_483_646, 2_147_475_453, "missing"))
    after = ("", 8195, 2_147_483_646, 2_147_475_452, "missing")
    nested = [*below, ("8194", 2_147_483_648, None, None, "unknown")]
    assert rows_of(client) == [*between[:at], *nested, after, highest]


def _with_active(numbers: list[int]) -> Iterator[tuple[int, int, str]]:
    missing_ranges = [(first, last, "missing") for first, last in gaps({*numbers}, numbers[-1])]
    inactive = {number for number in numbers if number + 1 in numbers or number - 1 in numbers}
    active = [(number, number, "active") for number in numbers if number not in inactive]
    pairs = [(31, 33, "active"), (255, 257, "active"), (4095, 4097, "active"), (8192, 8193, "active")]
    return iter(sorted([*missing_ranges, *active, *pairs]))


def test_more_blocks_and_rows_than_are_loaded_at_once(
    client: Client, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "BLOCKS_AT_ONCE", 2)
    monkeypatch.setattr(unfinished, "ROWS_AHEAD", 24)
    reports.complete(*(f"{JOB}.{number}" for number in range(1, 50_000, 5_000)), f"{JOB}.60000*")
    reports.progress(*(f"{JOB}.{parent}.{child}" for parent in range(2, 203) for child in (3, 70)))
    found = rows_of(client)
    assert found[0] == ("2", 1, 2, 2, "missing")
    below = [row for row in found if row[0] != ""]
    assert [row[0] for row in below] == [str(parent) for parent in range(2, 203) for _ in range(5)]
    assert below[:5] == [
        ("2", 1, 2, 2, "missing"),
        ("2", 3, 3, 1, "active"),
        ("2", 4, 69, 66, "missing"),
        ("2", 70, 70, 1, "active"),
        ("2", 71, None, None, "unknown"),
    ]
    assert found[-1] == ("", 45_002, 59_999, 14_998, "missing")


def test_the_rows_below_many_tasks_are_loaded_together(
    reports: Reports, connection: Connection, database_url: str
) -> None:
    reports.progress(*(f"{JOB}.{parent}.{middle}.1" for parent in range(1, 401) for middle in (1, 2)))
    with connection.transaction():
        walk = perform(connection, find_missing(JOB)).begin()
        found, queries = 0, 0
        answer: list[Any] | None = None
        with suppress(StopIteration):
            while True:
                step = next(walk) if answer is None else walk.send(answer)
                answer = None
                if isinstance(step, Query):
                    queries += 1
                    answer = connection.execute(step.statement, step.parameters, binary=True).fetchall()
                else:
                    found += len(step)
    assert found == 400 * (2 * 2 + 1) + 1
    assert queries < 30  # 400 tasks have a row below them, and 800 below these


def test_100_levels(client: Client, reports: Reports) -> None:
    path = ".2*" * 100
    reports.progress(JOB + path)
    found = rows_of(client)
    assert len(found) == 101
    assert found[0] == ("", 1, 1, 1, "missing")
    assert found[-1] == (".".join(["2"] * 99), 2, 2, 1, "active")


def test_all_rows_are_of_one_moment(client: Client, reports: Reports, database_url: str) -> None:
    with Client(database_url) as other:
        reports.progress(*(f"{JOB}.{child}.{leaf}" for child in range(1, 600) for leaf in (40, 4_200)))
        before = rows_of(client)
        with closing(other.missing(JOB)) as ranges:
            first = next(ranges)
            reports.complete(*(f"{JOB}.{child}" for child in range(2, 600)))
            assert [as_row(first), *map(as_row, ranges)] == before
        reports.complete(f"{JOB}.1", f"{JOB}.600*")
        assert rows_of(client) == []


def test_counted_by_state(client: Client, reports: Reports) -> None:
    reports.progress(f"{JOB}.2", f"{JOB}.30.2", f"{JOB}.40*")
    reports.fail(f"{JOB}.3")
    counts = count_by_state(client.missing(JOB))
    assert [(each.state, each.count) for each in counts] == [
        (MissingState.MISSING, 36 + 1),
        (MissingState.ACTIVE, 3),
        (MissingState.FAILED, 1),
        (MissingState.UNKNOWN, None),
    ]
    assert count_by_state([]) == []


def test_an_iterator_may_be_left_in_the_middle(reports: Reports, database_url: str) -> None:
    reports.complete(*(f"{JOB}.{number}" for number in range(2, 10_000, 2)))
    with Client(database_url, max_connections=1) as client:
        with closing(client.missing(JOB)) as ranges:
            next(ranges)
        assert len(rows_of(client)) == 5_000


def test_a_client_that_is_not_open_says_so(database_url: str) -> None:
    with pytest.raises(TrackerError, match="not open"):
        list(Client(database_url).missing(JOB))


# --- the naive model


INDEXES = [1, 1, 2, 3, 31, 32, 256, 257, 4_096, 4_097, 9_000]
TREES = 120


def test_as_in_the_model_after_every_batch(client: Client, reports: Reports) -> None:
    for seed in range(TREES):
        random = Random(seed)
        name = f"job{seed}"
        client.submit([job(name, partition_id="acme")])
        model = NaiveTracker()
        model.create_job("acme", name)
        for batch in cut(random, _steps(random, f"acme:{name}"), largest=20):
            records = [record_for(random, *steps) for steps in group(random, batch)]
            model.process_batch(records)
            reports.apply(*(record.value or b"" for record in records), key=f"acme:{name}".encode())
            found = [_plain(each) for each in client.missing(f"acme:{name}")]
            assert found == _in_the_model(model, name), f"seed {seed}"


def _steps(random: Random, task: str) -> list[Step]:
    if random.random() < 0.5:
        tree = make_tree(random, random.randint(1, 30), sparse=random.random() < 0.5)
        script = make_script(random, task, tree, random.choice(["fails", "unfinished"]), events_only=True)
        return [*script.body, *script.tail]
    return [_any_step(random, task) for _ in range(random.randint(1, 60))]


def _any_step(random: Random, task: str) -> Step:
    for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3])):
        task += f".{random.choice(INDEXES)}{random.choice(['', '', '', '*'])}"
    kind = random.choice(["complete", "complete", "failed", "progress"])
    return Step(task, kind, 40 if kind == "progress" else 0)


def _plain(found: MissingTasks) -> Row:
    return found.parent, found.first, found.last, found.count, str(found.state)


def _in_the_model(model: NaiveTracker, name: str) -> list[Row]:
    found = model.jobs["acme", name]
    if found.status == "Completed":
        return []
    if not found.root.highest:
        state = "failed" if found.status == "Failed" else _state_in_the_model(found.root)
        return [(None, None, None, 1, state)]
    return list(_below_in_the_model(found.name, found.root))


def _below_in_the_model(name: str, task: Task) -> Iterator[Row]:
    unseen = {*gaps(task.done | task.open.keys(), task.highest)}
    rows: list[Any] = sorted([(first, last, "missing") for first, last in unseen])
    rows += [(child, child, _state_in_the_model(below)) for child, below in task.open.items()]
    merged: list[list[Any]] = []
    for first, last, state in sorted(rows):
        if merged and state != "parent" and merged[-1][1:] == [first - 1, state]:
            merged[-1][1] = last
        else:
            merged.append([first, last, state])
    for first, last, state in merged:
        if state == "parent":
            yield from _below_in_the_model(f"{name}.{first}", task.open[first])
        else:
            yield name, first, last, last - first + 1, state
    if not task.marked:
        yield name, task.highest + 1, None, None, "unknown"


def _state_in_the_model(task: Task) -> str:
    if task.highest:
        return "parent"
    if task.failure is not None:
        return "failed"
    return "active" if task.progress else "missing"
