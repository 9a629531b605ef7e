"""Failed jobs are started again: which, with what, and what is refused."""

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, rows, set_status
from tracker import ChangedJob, Client, JobNotFound, JobRefused
from tracker.job_status import STATUSES, JobStatus

WAITING, ACTIVE, PAUSED, FAILED, CANCELLED, COMPLETED = STATUSES

RUNS = "SELECT job_id, status, attempt FROM job ORDER BY job_id"
DUE = """
    SELECT job_id, unmet, eligible_time IS NOT NULL AS is_due, sent_time, paused
    FROM task_message JOIN job USING (tenant_key, job_key) ORDER BY job_id
"""
TREES = (
    "sibling_tasks (tenant_key, job_key, path, number, tasks) SELECT tenant_key, job_key, '', 0, '' FROM job",
    "task_failure SELECT tenant_key, job_key, '1', 'id', 0, 'source', 'message' FROM job",
)


def sent_and_failed(connection: Connection, *job_ids: str) -> None:
    for job_id in job_ids:
        set_status(connection, job_id, FAILED)
    connection.execute("UPDATE task_message SET paused = true")


def propagated(connection: Connection, root: str, *job_ids: str) -> None:
    for job_id in job_ids:
        set_status(connection, job_id, FAILED)
        connection.execute("UPDATE job SET root_job_id = %s WHERE job_id = %s", [root, job_id])


def test_a_failed_job_is_due_once_more_without_its_tree(client: Client, connection: Connection) -> None:
    client.submit([job("a", labels={"owner": "bob"})])
    sent_and_failed(connection, "a")
    connection.execute("UPDATE job SET failure_summary = 'x', percentage = 7, contradicted = true")
    for tree in TREES:
        connection.execute(f"INSERT INTO {tree}")
    ((old_key,),) = rows(connection, "SELECT job_key FROM job")
    assert client.retry("a") == [ChangedJob(partition_id="default", id="a", changed=True)]
    assert rows(connection, RUNS) == [("a", 0, 2)]
    assert rows(connection, DUE) == [("a", 0, True, None, False)]
    cleared = "SELECT percentage, failure_summary, contradicted, job_key > %s FROM job"
    assert rows(connection, cleared, old_key) == [(0, None, False, True)]
    assert rows(connection, "SELECT job_key FROM removed_job") == [(old_key,)]
    assert client.get("a").labels == {"owner": "bob"}
    assert (list(client.failures("a")), [str(each.state) for each in client.missing("a")]) == (
        [],
        ["missing"],
    )


def test_the_scheduler_is_woken(client: Client, connection: Connection) -> None:
    client.submit([job("a")])
    sent_and_failed(connection, "a")
    connection.execute("LISTEN tracker_scheduler")
    client.retry("a")
    assert len(list(connection.notifies(timeout=10, stop_after=1))) == 1


@pytest.mark.parametrize("status", [each for each in STATUSES if each is not FAILED], ids=str)
def test_only_failed_jobs_are_retried_all_or_none(
    client: Client, connection: Connection, status: JobStatus
) -> None:
    client.submit([job("a"), job("b")])
    set_status(connection, "a", FAILED)
    set_status(connection, "b", status)
    with pytest.raises(
        JobRefused, match=f"only jobs that have failed can be retried: default:b is {status}$"
    ):
        client.retry(["a", "b"])
    assert rows(connection, "SELECT attempt FROM job WHERE job_id = 'a' AND status = 3") == [(1,)]


def test_a_job_that_is_not_stored_is_not_found(client: Client) -> None:
    with pytest.raises(JobNotFound, match=r"no such job: default:a$"):
        client.retry("a")


def test_one_whose_task_message_is_not_stored_is_refused(client: Client, connection: Connection) -> None:
    client.submit([job("a")])
    sent_and_failed(connection, "a")
    connection.execute("DELETE FROM task_message")
    with pytest.raises(JobRefused, match=r"not stored: default:a; delete them, and submit them again$"):
        client.retry("a")


def test_one_that_failed_by_propagation_waits_again(client: Client, connection: Connection) -> None:
    client.submit([job("root"), job("other"), job("gone"), job("d", "root", "other", "gone")])
    propagated(connection, "root", "d")
    set_status(connection, "root", ACTIVE)  # it was retried
    client.delete("gone")
    client.retry("d")
    assert rows(connection, DUE)[0] == ("d", 3, False, None, False)
    assert client.get("d").prerequisite_job_ids == ["gone", "other", "root"]


@pytest.mark.parametrize("status", [FAILED, CANCELLED], ids=str)
def test_one_whose_prerequisite_can_not_complete_is_refused(
    client: Client, connection: Connection, status: JobStatus
) -> None:
    client.submit([job("root"), job("d", "root")])
    propagated(connection, "root", "d")
    set_status(connection, "root", status)
    with pytest.raises(
        JobRefused, match=r"has failed or was cancelled: default:root, for default:d; retry it with"
    ):
        client.retry("d")


def test_without_cascade_the_others_stay_as_they_are(client: Client, connection: Connection) -> None:
    client.submit([job("root"), job("d", "root")])
    sent_and_failed(connection, "root")
    propagated(connection, "root", "d")
    assert len(client.retry("root")) == 1
    assert rows(connection, RUNS) == [("d", 3, 1), ("root", 0, 2)]


def test_a_cascade_takes_what_failed_because_of_the_job_and_nothing_else(
    client: Client, connection: Connection
) -> None:
    client.submit(
        [
            job("root"),
            job("b", "root"), job("c", "root"), job("d", "b", "c"),  # a diamond
            job("self", "root"), job("after-self", "self"),  # `self` has failed by itself
            job("bad"), job("both", "d", "bad"), job("after-both", "both"),  # `bad` is another root
        ]
    )  # fmt: skip
    sent_and_failed(connection, "root", "self", "bad")
    propagated(connection, "root", "b", "c", "d", "both", "after-both")
    propagated(connection, "self", "after-self")
    retried = [str(each) for each in client.retry("root", cascade=True)]
    assert retried == ["default:root", "default:b", "default:c", "default:d"]
    assert [row for row in rows(connection, RUNS) if row[1] == 0] == [
        ("b", 0, 2), ("c", 0, 2), ("d", 0, 2), ("root", 0, 2),
    ]  # fmt: skip
    assert [row[:3] for row in rows(connection, DUE)] == [
        ("after-both", 1, False), ("after-self", 1, False), ("b", 1, False), ("bad", 0, False),
        ("both", 2, False), ("c", 1, False), ("d", 2, False), ("root", 0, True), ("self", 1, False),
    ]  # fmt: skip
    assert [str(each) for each in client.retry(["bad", "both"], cascade=True)] == [
        "default:bad", "default:both", "default:after-both",
    ]  # fmt: skip


def test_a_thousand_levels_are_one_retry(client: Client, connection: Connection) -> None:
    client.submit([job("0"), *(job(str(number), str(number - 1)) for number in range(1, 1000))])
    sent_and_failed(connection, "0")
    connection.execute("UPDATE job SET status = 3, root_job_id = '0' WHERE job_id <> '0'")
    assert len(client.retry("0", cascade=True)) == 1000
    assert rows(connection, "SELECT DISTINCT status, attempt FROM job") == [(0, 2)]
    assert rows(connection, "SELECT unmet, count(*) FROM task_message GROUP BY unmet ORDER BY unmet") == [
        (0, 1),
        (1, 999),
    ]
