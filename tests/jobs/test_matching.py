"""All jobs that match are changed, in steps: which, what is skipped, and what an interruption leaves."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, rows, set_status
from tests.support.sessions import Observer, open_session
from tracker import ChangeCount, Client, InvalidQuery, JobRefused
from tracker.identifiers import JobName
from tracker.job_filter import EVERY_JOB, HasName, JobFilter
from tracker.job_status import STATUSES
from tracker.jobs.change import CANCEL, DELETE
from tracker.jobs.matching import change_matching, retry_matching
from tracker.jobs.rsql import read_rsql

WAITING, ACTIVE, PAUSED, FAILED, CANCELLED, COMPLETED = STATUSES
BY_STATUS = "SELECT job_id FROM job WHERE status = %s ORDER BY job_id"


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three jobs in a step."""
    monkeypatch.setattr("tracker.jobs.matching.STEP_JOBS", 3)


@pytest.fixture
def of_each_status(client: Client, connection: Connection) -> list[str]:
    """Two jobs of each status, in several partition IDs, and their names."""
    names = [f"{status.lower()}-{number}" for number in range(2) for status in STATUSES]
    client.submit(
        job(name, partition_id=f"p{place % 4}", labels={"even": str(place % 2 == 0)})
        for place, name in enumerate(names)
    )
    for name in names:
        set_status(connection, name, next(each for each in STATUSES if name.startswith(each.lower())))
    return names


def named(connection: Connection, *statuses: int) -> list[str]:
    return [name for status in statuses for (name,) in rows(connection, BY_STATUS, status)]


def count(matched: int, changed: int) -> ChangeCount:
    return ChangeCount(matched=matched, changed=changed, skipped=matched - changed)


@pytest.mark.parametrize(
    ("verb", "changes", "after"),
    [
        ("cancel", (WAITING, ACTIVE, PAUSED), CANCELLED),
        ("pause", (WAITING, ACTIVE), PAUSED),
        ("resume", (PAUSED,), ACTIVE),
        ("delete", STATUSES, None),
        ("retry", (FAILED,), WAITING),
    ],
)
@pytest.mark.parametrize("matching", ["id==*", "id=in=({})"], ids=["any", "names"])
@pytest.mark.usefixtures("of_each_status")
def test_those_whose_status_allows_it_are_changed_and_the_others_counted(
    client: Client,
    connection: Connection,
    of_each_status: list[str],
    matching: str,
    verb: str,
    changes: tuple[Any, ...],
    after: Any,
) -> None:
    before = {status: named(connection, status.number) for status in STATUSES}
    counts = getattr(client, verb)(matching=matching.format(",".join(of_each_status)))
    assert counts == count(12, 2 * len(changes))
    for status in STATUSES:
        expected = set() if status in changes else set(before[status])
        if status is after:
            expected |= {name for each in changes for name in before[each]}
        assert set(named(connection, status.number)) == expected, status


@pytest.mark.parametrize(
    "rsql",
    [
        "status==Failed",
        "status=in=(Failed,Completed)",
        "status!=Completed",
        "partitionId==p1",
        "partitionId=in=(p1,p3);status==Waiting,id==active-0",
        "labels.even==True",
        "labels.even==True;status==Active",
        "id==waiting*",
        "partitionId==nobody",
        "status==Failed;status==Active",
    ],
)
@pytest.mark.usefixtures("of_each_status")
def test_a_filter_changes_the_jobs_that_it_lists(client: Client, rsql: str) -> None:
    listed = {str(each) for each in client.list(matching=rsql, limit=0)}
    others = {str(each) for each in client.list(limit=0)} - listed
    assert client.delete(matching=rsql) == count(len(listed), len(listed))
    assert {str(each) for each in client.list(limit=0)} == others


@pytest.mark.usefixtures("of_each_status")
def test_a_filter_of_names_finds_them(client: Client, connection: Connection) -> None:
    wanted = HasName((JobName("p0", "waiting-0"), JobName("p1", "active-0"), JobName("p1", "waiting-0")))
    assert client.cancel(matching=wanted) == count(2, 2)
    assert named(connection, CANCELLED.number) == ["active-0", "cancelled-0", "cancelled-1", "waiting-0"]


@pytest.mark.parametrize("wanted", [read_rsql("status==Waiting"), EVERY_JOB], ids=["by age", "by key"])
def test_what_is_stopped_between_two_steps_is_done_by_the_next_call(
    client: Client, wanted: JobFilter
) -> None:
    client.submit(job(f"j{number}", partition_id=f"p{number % 2}") for number in range(10))
    seen: list[ChangeCount] = []

    def stop_after_two(counts: ChangeCount) -> bool:
        seen.append(counts)
        return len(seen) < 2

    assert client.run(change_matching(DELETE, wanted, stop_after_two, described="")) == count(6, 6)
    assert seen == [count(3, 3), count(6, 6)]
    assert client.count() == 4
    assert client.run(change_matching(DELETE, wanted, described="")) == count(4, 4)
    assert client.count() == 0


@pytest.fixture
def undo_the_second_and_third_change(connection: Connection) -> None:
    """Make PostgreSQL undo two changes of jobs, as it undoes a deadlock."""
    connection.execute(
        """
        CREATE SEQUENCE tries;
        CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('tries') IN (2, 3) THEN
                RAISE EXCEPTION 'deadlock detected' USING ERRCODE = 'deadlock_detected';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER undo AFTER UPDATE ON job EXECUTE FUNCTION undo();
        """
    )


def test_a_step_that_is_undone_is_done_again_and_no_other(
    client: Client, connection: Connection, request: pytest.FixtureRequest
) -> None:
    client.submit(job(f"j{number}") for number in range(7))
    request.getfixturevalue("undo_the_second_and_third_change")
    assert client.cancel(matching="id==j*") == count(7, 7)
    assert rows(connection, "SELECT last_value FROM tries") == [(5,)]
    assert len(named(connection, CANCELLED.number)) == 7


def test_jobs_that_were_skipped_before_a_step_that_is_undone_count_once(
    client: Client, connection: Connection, request: pytest.FixtureRequest
) -> None:
    client.submit(job(f"j{number}") for number in range(7))
    connection.execute("UPDATE job SET status = 3")
    connection.execute(
        "DELETE FROM task_message USING job WHERE job.job_key = task_message.job_key"
        " AND job_id IN ('j0', 'j1')"  # they cannot be started again, and stay as they are
    )
    request.getfixturevalue("undo_the_second_and_third_change")
    assert client.retry(matching="id==j*") == count(7, 5)


@pytest.mark.parametrize("wanted", [read_rsql("status==Waiting"), EVERY_JOB], ids=["by age", "by key"])
def test_jobs_that_are_submitted_meanwhile_do_not_count(
    client: Client, connection: Connection, wanted: JobFilter
) -> None:
    client.submit(job(f"j{number}") for number in range(5))

    def submit(_: ChangeCount) -> bool:
        connection.execute(
            """
            INSERT INTO job (tenant_key, job_id, content_hash, create_time)
            SELECT tenant_key, 'late', '', now() + interval '1 minute' FROM tenant
            """
        )
        return True

    assert client.run(change_matching(DELETE, wanted, submit, described="")) == count(5, 5)
    assert rows(connection, "SELECT job_id FROM job") == [("late",)]


def test_one_that_matches_no_longer_when_it_is_locked_stays_as_it_is(
    client: Client, connection: Connection, database_url: str
) -> None:
    client.submit([job("a"), job("b"), job("c")])
    observer = Observer(database_url)
    with ThreadPoolExecutor(1) as threads, open_session(database_url) as worker:
        worker.execute("UPDATE job SET status = 1 WHERE job_id = 'b'")
        deleting = threads.submit(client.delete, matching="status==Waiting")
        observer.wait_until_blocked()
        worker.commit()
        assert deleting.result(30) == count(2, 2)
    observer.close()
    assert rows(connection, "SELECT job_id FROM job") == [("b",)]


def test_failed_jobs_are_started_again_the_oldest_first(client: Client, connection: Connection) -> None:
    chain = [job("0"), *(job(str(number), str(number - 1)) for number in range(1, 8))]
    client.submit([*chain, job("obstacle"), job("stays", "obstacle"), job("unsent")])
    connection.execute("UPDATE job SET status = 3")
    connection.execute("UPDATE job SET status = 4 WHERE job_id = 'obstacle'")
    connection.execute(
        "DELETE FROM task_message USING job WHERE job.job_key = task_message.job_key AND job_id = 'unsent'"
    )
    assert client.run(retry_matching(read_rsql("id==*"), described="")) == count(11, 8)
    assert named(connection, FAILED.number) == ["stays", "unsent"]
    assert rows(connection, "SELECT DISTINCT attempt FROM job WHERE status = 0") == [(2,)]
    assert client.retry(matching="attempt==2") == count(8, 0)


@pytest.mark.parametrize("matching", ["", "status=Failed", 7, ["id==a"]])
def test_what_is_no_filter_is_refused(client: Client, matching: Any) -> None:
    client.submit([job("a")])
    with pytest.raises(InvalidQuery):
        client.delete(matching=matching)
    assert client.count() == 1


def test_names_and_a_filter_at_once_are_refused(client: Client) -> None:
    client.submit([job("a")])
    call: Callable[..., Any] = client.cancel
    for arguments in ({"jobs": ["a"]}, {"skip_ended": True}):
        with pytest.raises(InvalidQuery, match="not both"):
            call(matching="id==a", **arguments)
    with pytest.raises(TypeError, match="jobs"):
        call()
    assert client.get("a").status is WAITING


@pytest.mark.usefixtures("of_each_status")
def test_by_names_those_whose_status_does_not_allow_it_are_left_out_if_asked_for(client: Client) -> None:
    jobs = client.list(matching="id==*-0", limit=0, sort="id")
    for name, allowed in (
        ("pause", {"active-0", "paused-0", "waiting-0"}),
        ("cancel", {"active-0", "cancelled-0", "paused-0", "waiting-0"}),
        ("retry", {"failed-0"}),
    ):
        verb = getattr(client, name)
        with pytest.raises(JobRefused):
            verb(jobs)
        assert {each.id for each in verb(jobs, skip_ended=True)} == allowed
    assert client.resume(jobs, skip_ended=True)[0].id == "failed-0"


@pytest.mark.usefixtures("of_each_status")
def test_a_verb_begun_twice_continues_where_it_was(client: Client) -> None:
    """As the client does after a conflict."""
    verb = change_matching(CANCEL, read_rsql("status==Waiting"), described="")
    assert client.run(verb) == client.run(verb) == count(2, 2)
