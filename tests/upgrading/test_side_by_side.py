"""The last release's program and this one work together: before, during and after a migration, and back."""

import json

import msgspec
import pytest

from tests.support.deployment import Deployment
from tests.support.deployment_fixtures import Deploy
from tests.support.kafka import wait_until
from tests.support.load import Load
from tests.support.program import Program
from tests.upgrading.released_program import ReleasedProgram
from tracker.jobs.job import NewJob
from tracker.store.migrate import migrate

MESSAGES = 12_000
PART = MESSAGES // 6


def text_of(jobs: list[NewJob]) -> str:
    """Return the jobs as `tracker job submit` reads them."""
    return "\n".join(msgspec.json.encode(job).decode() for job in jobs)


@pytest.fixture
def released_deployment(empty_database_url: str, old_program: ReleasedProgram, deploy: Deploy) -> Deployment:
    """A deployment whose database the old program has made; use it after `upgrade`."""
    deployment = deploy(TRACKER_WORKERS="1")
    deployment.variables["TRACKER_DATABASE_URL"] = empty_database_url
    old_program.run(deployment.variables, "migrate")
    return deployment


def upgrade(deployment: Deployment) -> None:
    """Do what an operator does first, while the old program runs."""
    url = deployment.variables["TRACKER_DATABASE_URL"]
    assert migrate(url)
    deployment.use_database(url)


def forwarded(deployment: Deployment) -> int:
    return sum(deployment.kafka.ends(deployment.topics.results).values())


def test_nothing_is_lost_nor_sent_twice_from_one_program_to_the_other_and_back(
    released_deployment: Deployment, old_program: ReleasedProgram
) -> None:
    tracker = released_deployment
    load = Load(tracker, jobs=20, messages=MESSAGES)
    jobs = [tracker.job(name) for name in load.jobs]
    jobs += [tracker.job(f"after-{name}", name) for name in load.jobs]
    old_program.run(tracker.variables, "job", "submit", text=text_of(jobs))
    tracker.programs = 1
    with old_program.start(tracker.variables) as old:
        load.send(0, PART)
        wait_until(lambda: forwarded(tracker) > PART // 2, "the old program at work")
        upgrade(tracker)
        load.send(PART, 2 * PART)
        tracker.wait_until_processed()
        with Program(tracker.variables) as new:
            new.wait_for("Kafka partitions assigned")
            load.send(2 * PART, 3 * PART)
            tracker.wait_until_processed()
            assert old.stop() == 0
            load.send(3 * PART, 4 * PART)
            tracker.wait_until_processed()
            assert new.stop() == 0
    with old_program.start(tracker.variables) as old:
        load.send(4 * PART, 5 * PART)
        tracker.wait_until_processed()
        load.send(5 * PART)
        tracker.wait_until_processed()
        tracker.wait_until_sent()
        assert old.stop() == 0
    load.check()
    assert sorted(tracker.started()) == sorted(f"acme:{job.id}" for job in jobs)


def test_verbs_of_the_old_program_work_on_the_new_schema(
    released_deployment: Deployment, old_program: ReleasedProgram
) -> None:
    tracker = released_deployment
    jobs = [tracker.job(name) for name in ("ended", "going", "held")]
    old_program.run(tracker.variables, "job", "submit", text=text_of(jobs))
    upgrade(tracker)
    more = [tracker.job("more", "ended")]
    old_program.run(tracker.variables, "job", "submit", text=text_of(more))
    for verb, name in (("cancel", "ended"), ("pause", "held"), ("resume", "held"), ("delete", "going")):
        old_program.run(tracker.variables, "job", verb, f"acme:{name}")
    listed = old_program.run(tracker.variables, "job", "list", "--json").splitlines()
    assert {job["id"]: job["status"] for job in map(json.loads, listed)} == {
        "ended": "Cancelled",
        "held": "Active",
        "more": "Waiting",
    }
    assert tracker.status("ended") == "Cancelled"
