"""A database that Kafka's offsets do not belong to: restored, set back while it is used, or another one."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.disagreement import Backup, adopt, forwarded, numbered, process, refusal
from tests.support.kafka import wait_until
from tracker import adoption
from tracker.lifeline import ExitStatus
from tracker.store.migrate import migrate


@pytest.fixture
def tracker(deploy: Deploy) -> Deployment:
    """A deployment with one Kafka partition and 10 completed tasks of a job; it is stopped."""
    tracker = deploy(partitions=1)
    tracker.submit("job")
    with tracker.running():
        tracker.wait_until_sent()
        tracker.process(*numbered(tracker, range(1, 11)))
    return tracker


@pytest.fixture
def other(tracker: Deployment, empty_database_url: str) -> Iterator[Deployment]:
    """The same with an empty database."""
    migrate(empty_database_url)
    other = Deployment(tracker.kafka.bootstrap_servers, empty_database_url, tracker.topics)
    other.group_id = other.variables["TRACKER_GROUP_ID"] = tracker.group_id
    yield other
    other.close()


def restored(tracker: Deployment) -> None:
    """Process 5 tasks after the backup, one of them of a job that is sent meanwhile, and restore it."""
    backup = Backup(tracker)
    tracker.submit("later")
    with tracker.running():
        tracker.wait_until_sent()
        tracker.process(*numbered(tracker, range(11, 15)), *numbered(tracker, [15], job="later"))
    backup.restore()


def test_an_earlier_copy_is_refused(tracker: Deployment) -> None:
    restored(tracker)
    tracker.send(*numbered(tracker, [20]))
    assert "the database is an earlier copy" in refusal(tracker)
    assert forwarded(tracker) == [*range(1, 16)]


def test_an_earlier_copy_can_catch_up(tracker: Deployment) -> None:
    """What happened since is reported again, and forwarded again, for the jobs that it knows."""
    restored(tracker)
    said = adopt(tracker, "database")
    assert "the group's offset becomes 10, offsets 10 to 14 are reported, and forwarded, again" in said
    assert "scheduler's last sent number" in said.casefold()
    process(tracker, [20], scheduler=True)
    assert forwarded(tracker) == [*range(1, 16), *range(11, 15), 20]
    assert tracker.percentage("job") == pytest.approx(100 * 15 / 21, abs=0.01)
    assert tracker.started() == ["acme:job", "acme:later"]


def test_an_earlier_copy_may_leave_out_what_happened_since(tracker: Deployment) -> None:
    restored(tracker)
    assert "offsets 10 to 14 are neither reported nor forwarded" in adopt(tracker, "kafka")
    tracker.submit("again")
    tracker.start()
    tracker.process(*numbered(tracker, [20]))
    tracker.wait_until_sent()
    assert forwarded(tracker) == [*range(1, 16), 20]
    assert tracker.percentage("job") == pytest.approx(100 * 11 / 21, abs=0.01)
    assert tracker.started() == ["acme:job", "acme:later", "acme:again"]


def test_what_a_copy_has_yet_to_send_is_sent(tracker: Deployment) -> None:
    """A job that waits in the copy is started, though it was after the copy was made: it says so."""
    tracker.submit("waits")
    backup = Backup(tracker)
    with tracker.running():
        tracker.wait_until_sent()
    backup.restore()
    assert "jobs that were started" in adopt(tracker, "kafka")
    tracker.start()
    tracker.wait_until_sent()
    assert tracker.started() == ["acme:job", "acme:waits", "acme:waits"]


@pytest.mark.parametrize("running", ["worker", "scheduler"])
def test_a_database_that_is_set_back_under_programs_that_run_is_noticed(
    tracker: Deployment, running: str
) -> None:
    """So a standby shows that had not heard of the last transactions, and took over."""
    backup = Backup(tracker)
    tracker.submit("later")
    start: Callable[[], None] = partial(
        tracker.start, workers=int(running == "worker"), scheduler=running == "scheduler"
    )
    start()
    [member] = tracker.workers + tracker.schedulers
    if running == "worker":
        tracker.process(*numbered(tracker, range(11, 16)))
    else:
        wait_until(lambda: "acme:later" in tracker.started(), "it to be sent")
        wait_until(lambda: tracker.rows("SELECT sent_number FROM deployment") == [(2,)], "it to be noted")
    backup.restore()
    tracker.workers.clear()
    tracker.schedulers.clear()
    tracker.send(*numbered(tracker, [20]))
    assert member.wait() == ExitStatus.REFUSED
    assert forwarded(tracker) == [*range(1, 16 if running == "worker" else 11)]


def test_another_database_is_refused_by_workers_and_scheduler(tracker: Deployment, other: Deployment) -> None:
    other.submit("job")
    other.send(*numbered(other, [11]))
    scheduler = other.start_scheduler(wait=False)
    other.schedulers.clear()
    assert scheduler.wait() == ExitStatus.REFUSED
    worker = other.start_worker(wait=False)
    other.workers.clear()
    assert worker.wait() == ExitStatus.REFUSED
    assert "another database's" in refusal(other)
    assert (forwarded(other), other.started()) == ([*range(1, 11)], ["acme:job"])


@pytest.mark.parametrize("leader", ["database", "kafka"])
def test_another_database_can_be_adopted(tracker: Deployment, other: Deployment, leader: str) -> None:
    other.submit("job")
    said = adopt(other, leader)
    wanted = "read from its start" if leader == "database" else "from 0 on, counts as done"
    assert wanted in said
    assert "scheduler's last sent number" in said
    other.start(workers=0)
    other.wait_until_sent()
    other.start(scheduler=False)
    other.process(*numbered(other, [11]))
    again = [*range(1, 11)] if leader == "database" else []
    assert forwarded(other) == [*range(1, 11), *again, 11]
    assert other.started() == ["acme:job", "acme:job"]
    other.stop()
    assert "another database's" in refusal(tracker)  # and now the first is the other


def test_a_dry_run_writes_nothing(deploy: Deploy) -> None:
    tracker = deploy(partitions=1)
    row = "SELECT xmin::text, ctid::text, group_id FROM deployment"
    before = tracker.rows(row)
    for leader in ("database", "kafka"):
        assert adoption.plan(tracker.settings, leader) == []
    assert tracker.rows(row) == before
    assert before[0][2] is None


@pytest.mark.parametrize("same_database", [True, False])
def test_two_deployments_may_share_a_group_if_their_topics_differ(
    deploy: Deploy, tracker: Deployment, empty_database_url: str, same_database: bool
) -> None:
    """By mistake, or for as long as TRACKER_TOPICS is changed on one machine after another."""
    second = deploy(partitions=2)
    second.variables |= {"TRACKER_GROUP_ID": tracker.group_id, "TRACKER_INSTANCE": "second"}
    second.group_id = tracker.group_id
    if not same_database:
        migrate(empty_database_url)
        second.use_database(empty_database_url)
    both = tracker, second
    for each, name in zip(both, ("first", "second"), strict=True):
        each.start(workers=2)
        each.submit(name)
    for each, name in zip(both, ("first", "second"), strict=True):
        wait_until(partial(is_started, both, f"acme:{name}"), "both jobs started")
        each.send(*numbered(each, range(11, 31), job=name))
    for each in both:
        each.wait_until_processed()
        each.wait_until_sent()
    for each, name in zip(both, ("first", "second"), strict=True):
        assert {*forwarded(each)} >= {*range(11, 31)}
        assert len(forwarded(each)) == len({*forwarded(each)})
        assert each.percentage(name) == pytest.approx(100 * 20 / 31, abs=0.01)
    assert sorted(tracker.started() + second.started()) == ["acme:first", "acme:job", "acme:second"]
    for each in both:
        each.stop()
    for each in both:  # each may continue alone, no matter which was active last
        each.submit(f"alone-{each.topics.tracking}")
        with each.running():
            each.wait_until_sent()
        assert each.started().count(f"acme:alone-{each.topics.tracking}") == 1
    second.use_database(tracker.database_url)  # its own is dropped before its end


def is_started(deployments: tuple[Deployment, ...], job: str) -> bool:
    return any(job in each.started() for each in deployments)
