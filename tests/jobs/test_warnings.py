"""What is said of jobs that are stored and may never run."""

from contextlib import closing

import psycopg

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, set_status
from tests.support.sessions import COMMIT, Steps
from tracker import Client, JobStatus
from tracker.jobs.job import SubmittedJob, as_json
from tracker.jobs.submit import submit


def warnings(submitted: list[SubmittedJob]) -> dict[str, list[str]]:
    return {each.id: list(each.warnings) for each in submitted if each.warnings}


def test_a_job_that_waits_for_one_that_does_not_exist_says_so(client: Client) -> None:
    client.submit([job("there", partition_id="acme"), job("tpyo", partition_id="other")])
    submitted = client.submit(
        [
            job("a", "there", "tpyo", partition_id="acme"),
            job("b", "a", partition_id="acme"),
            job("c", "gone,pc", "there", partition_id="acme"),
            job("d", "tpyo", "another", partition_id="acme"),
        ]
    )
    missing = "waits for acme:tpyo, which does not exist"
    assert warnings(submitted) == {
        "a": [missing],
        "d": ["waits for acme:another, which does not exist", missing],
    }
    assert all(each.created for each in submitted)
    assert as_json(submitted[0]) == (
        b'{"partitionId":"acme","id":"a","created":true,"warnings":["%s"]}' % missing.encode()
    )
    assert b"warnings" not in as_json(submitted[1])


def test_a_prerequisite_that_was_deleted_does_not_exist(client: Client) -> None:
    client.submit([job("a")])
    client.delete("a")
    assert warnings(client.submit([job("b", "a")])) == {"b": ["waits for default:a, which does not exist"]}


def test_jobs_that_are_submitted_again_say_which_of_them_will_not_run(
    client: Client, connection: Connection
) -> None:
    names = ("failed", "cancelled", "completed", "active")
    jobs = [job(name) for name in names]
    waiting = [job("one", "failed", "active"), job("two", "cancelled", "later"), job("three", "completed")]
    assert warnings(client.submit([*jobs, *waiting])) == {
        "two": ["waits for default:later, which does not exist"]
    }
    for name, status in zip(
        names, (JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.COMPLETED, JobStatus.ACTIVE), strict=True
    ):
        set_status(connection, name, status)
    again = client.submit([*jobs, *waiting, job("new", "active")])
    assert [each.created for each in again] == [False] * 7 + [True]
    assert warnings(again) == {
        "failed": ["has failed, and will not run"],
        "cancelled": ["was cancelled, and will not run"],
        "one": ["waits for default:failed, which has failed"],
        "two": [
            "waits for default:cancelled, which was cancelled",
            "waits for default:later, which does not exist",
        ],
    }


def test_a_job_that_completes_or_comes_is_no_reason_to_warn(client: Client, connection: Connection) -> None:
    client.submit([job("b", "a")])
    assert warnings(client.submit([job("a"), job("b", "a")])) == {}
    set_status(connection, "a", JobStatus.COMPLETED)
    assert warnings(client.submit([job("a"), job("c", "a")])) == {}


def test_a_job_that_is_submitted_again_may_wait_for_one_of_the_same_submit(client: Client) -> None:
    client.submit([job("a", "late")])
    assert warnings(client.submit([job("a", "late"), job("late")])) == {}


def test_nothing_can_fail_after_new_jobs_are_stored(client: Client, database_url: str) -> None:
    """The caller would see an error, and assume that the jobs are not stored."""
    client.submit([job("old", "gone")])
    with closing(psycopg.connect(database_url)) as connection:
        steps = Steps(connection, submit([job("new"), job("old", "gone")]).begin())
        steps.run(before=COMMIT)
        steps.run_one()
        assert steps.next is None
        assert warnings(steps.answer) == {"old": ["waits for default:gone, which does not exist"]}
