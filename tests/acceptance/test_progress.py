"""Percentages and statuses: what the reports of a job's tasks amount to, over many batches."""

from typing import Any

import pytest

from tests.support.deployment import Deployment
from tests.support.messages import report
from tracker.metrics import CONTRADICTIONS

Reports = list[dict[str, Any]]


def tell(running: Deployment, *reports: dict[str, Any]) -> tuple[str, float]:
    """Have a batch report this; return the job's status and percentage."""
    running.process(running.event(*reports))
    return running.status("job"), running.percentage("job")


def done(task: str) -> dict[str, Any]:
    return report(f"acme:{task}", "Complete")


def failed(task: str) -> dict[str, Any]:
    return report(f"acme:{task}", "Failed")


def at(task: str, percentage: float) -> dict[str, Any]:
    return report(f"acme:{task}", "Progress", percentage)


# --- percentages


def test_a_percentage_is_an_estimate_while_the_number_of_tasks_is_not_known(running: Deployment) -> None:
    assert tell(running, *(done(f"job.{number}") for number in range(1, 100))) == ("Active", 99)
    assert running.look("job").estimate
    assert tell(running, at("job.1000*", 0.1)) == ("Active", 9.9)
    assert not running.look("job").estimate


def test_progress_is_at_most_99_9(running: Deployment) -> None:
    assert tell(running, at("job", 100)) == ("Active", 99.9)


def test_progress_of_0_is_discarded(running: Deployment) -> None:
    assert tell(running, at("job", 0), at("job.1", 0)) == ("Waiting", 0)


def test_progress_is_the_highest_that_was_reported(running: Deployment) -> None:
    assert tell(running, at("job", 40)) == ("Active", 40)
    assert tell(running, at("job", 20)) == ("Active", 40)
    assert tell(running, at("job", 41.5)) == ("Active", 41.5)


@pytest.mark.parametrize("percentage", [-1, 100.1, 1e300])
def test_a_percentage_outside_0_to_100_is_refused(running: Deployment, percentage: float) -> None:
    running.process(running.progress("acme:job", percentage))
    [dead_letter] = running.dead_letters()
    assert dead_letter.header("tracker-error-reason") == "percentage-out-of-range"


def test_a_completed_task_is_never_lowered(running: Deployment) -> None:
    tell(running, done("job.1"), at("job.4*", 1))
    assert tell(running, at("job.1", 10), failed("job.1")) == ("Active", 25.25)


def test_a_parent_is_the_sum_of_its_children_over_their_number(running: Deployment) -> None:
    assert tell(running, done("job.1"), at("job.2", 50), at("job.4*", 10)) == ("Active", 40)


def test_while_the_number_of_children_is_not_known_it_is_the_highest_seen_and_one(
    running: Deployment,
) -> None:
    assert tell(running, done("job.1")) == ("Active", 50)
    assert tell(running, done("job.3")) == ("Active", 50)
    assert tell(running, done("job.2")) == ("Active", 75)


def test_a_parent_is_at_most_99_7_until_every_child_has_completed(running: Deployment) -> None:
    assert tell(running, at("job.1", 100), at("job.2*", 100)) == ("Active", 99.7)
    assert tell(running, done("job.1"), done("job.2")) == ("Completed", 100)


def test_what_a_task_reports_itself_counts_where_it_is_more_than_its_children(running: Deployment) -> None:
    assert tell(running, at("job", 60), done("job.1"), at("job.4*", 1)) == ("Active", 60)
    assert tell(running, done("job.2"), done("job.3")) == ("Active", 75.25)


def test_percentages_go_up_from_level_to_level(running: Deployment) -> None:
    assert tell(running, at("job.1.1.1", 50), at("job.2*.1*.1*", 80)) == ("Active", 46.25)


def test_a_percentage_is_shown_with_two_decimals(running: Deployment) -> None:
    assert tell(running, done("job.1"), at("job.3*", 0.001)) == ("Active", 33.33)
    assert tell(running, done("job.2")) == ("Active", 66.67)


def test_a_failed_task_counts_0_until_it_completes(running: Deployment) -> None:
    assert tell(running, at("job.1", 80), at("job.2*", 40)) == ("Active", 60)
    assert tell(running, failed("job.1")) == ("Failed", 20)
    assert tell(running, at("job.1", 90)) == ("Failed", 20)
    assert tell(running, done("job.1")) == ("Failed", 70)


# --- status


def test_a_task_completes_when_the_number_of_children_is_known_and_all_have(running: Deployment) -> None:
    assert tell(running, done("job.2"), done("job.1"))[0] == "Active"
    assert tell(running, done("job.4*"))[0] == "Active"
    assert tell(running, done("job.3")) == ("Completed", 100)


def test_a_last_child_mark_counts_whenever_it_comes(running: Deployment) -> None:
    assert tell(running, done("job.1"), done("job.2"))[0] == "Active"
    assert tell(running, done("job.2*"))[0] == "Completed"


def test_a_last_child_mark_may_stand_at_any_level(running: Deployment) -> None:
    assert tell(running, done("job.1.1*"), done("job.2*.1"))[0] == "Active"
    assert tell(running, done("job.2.2*"))[0] == "Completed"


def test_a_message_that_writes_nothing_teaches_nothing(running: Deployment) -> None:
    running.process(running.more_work("acme:job.2*"), running.message("acme:job.1"))
    assert tell(running, done("job.2"))[0] == "Active"


def test_a_task_with_children_may_be_completed_outright(running: Deployment) -> None:
    assert tell(running, done("job.1.1"), failed("job.1.2"), at("job.2*", 10))[0] == "Failed"
    assert tell(running, done("job.1")) == ("Failed", 55)
    assert tell(running, failed("job.1.3"), at("job.1.4", 1), done("job.1.1.1.1")) == ("Failed", 55)
    assert tell(running, done("job.2")) == ("Completed", 100)


def test_a_failed_task_below_makes_the_job_failed(running: Deployment) -> None:
    assert tell(running, done("job.1"), failed("job.2.3.4"))[0] == "Failed"


def test_a_failed_job_stays_failed_until_it_completes_as_a_whole(running: Deployment) -> None:
    assert tell(running, failed("job.1"), at("job.2*", 1))[0] == "Failed"
    assert tell(running, done("job.1"))[0] == "Failed"
    assert tell(running, done("job.2")) == ("Completed", 100)


@pytest.mark.parametrize("end", ["Completed", "Cancelled"])
def test_completed_and_cancelled_are_final(running: Deployment, end: str) -> None:
    if end == "Completed":
        tell(running, done("job"))
    else:
        running.client.cancel("acme:job")
    before = (end, running.percentage("job"))
    assert tell(running, failed("job"), at("job.1", 5), done("job.2*")) == before


def test_a_paused_job_stays_paused_until_it_fails_or_completes(tracker: Deployment) -> None:
    tracker.client.submit([tracker.job(job_id) for job_id in ("job", "fails", "completes")])
    tracker.client.pause(["acme:job", "acme:fails", "acme:completes"])
    tracker.start(scheduler=False)
    assert tell(tracker, at("job", 5), failed("fails.1"), done("completes")) == ("Paused", 5)
    assert tracker.statuses("fails", "completes") == ["Failed", "Completed"]


def test_contradictory_marks_make_the_number_of_children_the_highest_seen(running: Deployment) -> None:
    assert tell(running, done("job.1"), done("job.2*"), done("job.4"))[0] == "Active"
    assert running.count(CONTRADICTIONS) >= 1
    assert tell(running, done("job.3*"))[0] == "Completed"
    assert running.dead_letters() == []


def test_the_blocks_of_a_wide_task_are_put_together(running: Deployment) -> None:
    numbers = [1, 4_095, 4_096, 4_097, 8_192, 8_193, 12_000]
    tell(running, *(done(f"job.{number}") for number in numbers[:3]))
    tell(running, *(done(f"job.{number}") for number in numbers[3:]), at("job.20000*", 1))
    rest = [number for number in range(1, 20_001) if number not in numbers]
    for start in range(0, len(rest), 5_000):
        assert running.status("job") == "Active"
        tell(running, *(done(f"job.{number}") for number in rest[start : start + 5_000]))
    assert running.status("job") == "Completed"


def test_the_highest_index_is_no_burden(running: Deployment) -> None:
    assert tell(running, done("job.2147483647*"), done("job.1")) == ("Active", 0)
    running.process(running.message("acme:job.2147483648"))
    assert [each.header("tracker-error-reason") for each in running.dead_letters()] == ["bad-job-task-id"]


def test_a_hundred_levels_are_followed_down(running: Deployment) -> None:
    assert tell(running, done("job" + ".1*" * 100)) == ("Completed", 100)
