"""What a new job waits for, and which prerequisites are refused."""

import pytest

from tests.support.client_fixtures import Connection
from tests.support.jobs import job, rows, set_status, total, unmet
from tracker import Client, InvalidJob, JobRefused, JobStatus


def test_a_job_waits_for_its_prerequisites(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("b")])
    client.submit([job("dependent", "b", "a")])
    assert unmet(connection, "dependent") == (2, False, ["a", "b"])
    assert client.get("dependent").prerequisite_job_ids == ["a", "b"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_prerequisites_of_the_same_call_come_in_any_order(
    client: Client, connection: Connection, order: tuple[int, ...]
) -> None:
    chain = [job("a"), job("b", "a"), job("c", "b,pc")]
    client.submit([chain[place] for place in order])
    assert unmet(connection, "a") == (0, True, [])
    assert unmet(connection, "b") == (1, False, ["a"])
    assert unmet(connection, "c") == (1, False, ["b"])


def test_a_prerequisite_need_not_exist_yet(client: Client, connection: Connection) -> None:
    client.submit([job("dependent", "later")])
    assert unmet(connection, "dependent") == (1, False, ["later"])


def test_a_pre_created_prerequisite_that_does_not_exist_does_not_count(
    client: Client, connection: Connection
) -> None:
    client.submit([job("dependent", "gone,pc")])
    assert unmet(connection, "dependent") == (0, True, [])


def test_a_pre_created_prerequisite_that_exists_counts(client: Client, connection: Connection) -> None:
    client.submit([job("a")])
    client.submit([job("dependent", "a,pc")])
    assert unmet(connection, "dependent") == (1, False, ["a"])


@pytest.mark.parametrize("mark", ["", ",pc"])
def test_a_completed_prerequisite_does_not_count(client: Client, connection: Connection, mark: str) -> None:
    client.submit([job("a"), job("b")])
    set_status(connection, "a", JobStatus.COMPLETED)
    client.submit([job("dependent", f"a{mark}", "b")])
    assert unmet(connection, "dependent") == (1, False, ["b"])


@pytest.mark.parametrize("status", [JobStatus.WAITING, JobStatus.ACTIVE, JobStatus.PAUSED])
def test_a_prerequisite_that_has_not_completed_is_waited_for(
    client: Client, connection: Connection, status: JobStatus
) -> None:
    client.submit([job("a")])
    set_status(connection, "a", status)
    client.submit([job("dependent", "a")])
    assert unmet(connection, "dependent") == (1, False, ["a"])


@pytest.mark.parametrize("mark", ["", ",pc"])
@pytest.mark.parametrize(
    ("status", "what"), [(JobStatus.FAILED, "has failed"), (JobStatus.CANCELLED, "was cancelled")]
)
def test_a_prerequisite_that_has_failed_is_refused_and_nothing_is_stored(
    client: Client, connection: Connection, mark: str, status: JobStatus, what: str
) -> None:
    client.submit([job("a")])
    set_status(connection, "a", status)
    before = total(connection)
    with pytest.raises(JobRefused, match=f"prerequisite {what}: default:a, for default:dependent"):
        client.submit([job("fine"), job("dependent", f"a{mark}")])
    assert total(connection) == before


def test_a_prerequisite_given_twice_counts_once(client: Client, connection: Connection) -> None:
    client.submit([job("dependent", "a", "a", "b,pc", "b,pc", "a")])
    assert unmet(connection, "dependent") == (1, False, ["a"])


def test_prerequisites_are_of_the_same_partition_id(client: Client, connection: Connection) -> None:
    client.submit([job("a", partition_id="p")])
    set_status(connection, "a", JobStatus.COMPLETED)
    client.submit([job("dependent", "a", partition_id="q")])
    assert unmet(connection, "dependent") == (1, False, ["a"])


def test_ten_thousand_prerequisites_and_ten_thousand_dependents(
    client: Client, connection: Connection
) -> None:
    names = [f"a{number}" for number in range(10_000)]
    client.submit([job("first"), *(job(name, "first") for name in names), job("last", *names)])
    assert unmet(connection, "last")[:2] == (10_000, False)
    assert rows(connection, "SELECT count(*) FROM prerequisite WHERE prerequisite_job_id = 'first'") == [
        (10_000,)
    ]


@pytest.mark.parametrize("mark", ["", ",pc"])
def test_a_job_that_waits_for_itself_is_a_cycle(client: Client, mark: str) -> None:
    with pytest.raises(InvalidJob, match=r"cycle.*: a -> a$"):
        client.submit([job("a", f"a{mark}")])


def test_a_cycle_in_one_call_is_named(client: Client, connection: Connection) -> None:
    with pytest.raises(InvalidJob, match=r"cycle.*: b -> c -> d -> b$"):
        client.submit([job("a", "b"), job("b", "c"), job("c", "x", "d"), job("d", "b")])
    assert total(connection) == 0


def test_a_cycle_through_stored_jobs_is_named(client: Client, connection: Connection) -> None:
    client.submit([job("c", "d"), job("b", "c"), job("other", "d")])
    before = total(connection)
    with pytest.raises(JobRefused, match=r"cycle.*: d -> b -> c -> d$") as caught:
        client.submit([job("d", "b")])
    assert caught.type is JobRefused
    assert total(connection) == before


def test_a_cycle_through_stored_and_new_jobs_is_found(client: Client) -> None:
    client.submit([job("b", "c"), job("d", "a")])
    with pytest.raises(JobRefused, match="cycle"):
        client.submit([job("a", "b"), job("c", "d")])


def test_the_same_names_in_another_partition_id_are_no_cycle(client: Client) -> None:
    client.submit([job("a", "b", partition_id="p")])
    client.submit([job("b", "a", partition_id="q")])


def test_a_diamond_is_no_cycle(client: Client) -> None:
    client.submit([job("a", "b", "c"), job("b", "d"), job("c", "d")])
    client.submit([job("d", "e", "f"), job("e", "g"), job("f", "g")])


def test_a_job_may_be_given_again_while_others_wait_for_it(client: Client, connection: Connection) -> None:
    client.submit([job("a"), job("b", "a")])
    client.submit([job("a"), job("b", "a"), job("c", "b")])
    assert unmet(connection, "c") == (1, False, ["b"])


def test_a_completed_job_breaks_a_cycle(client: Client, connection: Connection) -> None:
    client.submit([job("b", "a")])
    set_status(connection, "b", JobStatus.COMPLETED)
    connection.execute("DELETE FROM prerequisite")
    client.submit([job("a", "b")])
    assert unmet(connection, "a") == (0, True, [])


def test_a_chain_of_many_jobs_is_no_matter(client: Client) -> None:
    count = 20_000
    client.submit([job(f"j{number}", f"j{number - 1}") for number in range(count, 0, -1)])
    with pytest.raises(JobRefused, match=r"j0 -> j20000 -> .* -> and 19,992 more -> .* -> j1 -> j0$"):
        client.submit([job("j0", f"j{count}")])
