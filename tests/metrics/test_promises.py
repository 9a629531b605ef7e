"""Each metric keeps what its help promises: the tests that hold it to that, metric by metric."""

import re
from pathlib import Path

import pytest

from tracker.metrics import CATALOGUE

_TESTS = Path(__file__).parent.parent

_IGNORED = "test_reports_on_jobs_that_are_unknown_or_have_ended_are_ignored_and_counted"
PROMISES = {
    "acceptance/test_metrics.py": {
        "tracker_messages": "test_each_message_is_counted_once_by_what_became_of_it",
        "tracker_reports": "test_reports_are_counted_by_their_kind",
        "tracker_releases": "test_what_the_scheduler_sends_and_what_batches_release",
        "tracker_scheduled_sends": "test_what_the_scheduler_sends_and_what_batches_release",
        "tracker_retention_delay_seconds": "test_the_delay_of_retention_is_how_late_jobs_are_removed",
        "tracker_batches": "test_batches_and_what_is_in_them",
        "tracker_batch_records": "test_batches_and_what_is_in_them",
        "tracker_batch_bytes": "test_batches_and_what_is_in_them",
        "tracker_stage_duration_seconds": "test_the_time_of_each_stage_is_observed_and_of_no_other",
    },
    "acceptance/test_events.py": {
        "tracker_reports_ignored": _IGNORED,
    },
    "acceptance/test_unreceivable.py": {
        "tracker_unreceivable_record": "test_what_cannot_be_received_is_named_and_skipped",
    },
    "acceptance/test_lag.py": {
        "tracker_lag_records": "test_nothing_counts_as_done_that_is_not_committed",
        "tracker_lag_seconds": "test_the_age_is_that_of_the_oldest_record",
    },
    "acceptance/test_drops.py": {
        "tracker_drops": "test_messages_of_a_job_that_has_ended_are_dropped_and_counted",
    },
    "acceptance/test_bad_input.py": {
        "tracker_dead_letters": "test_a_dead_letter_names_the_group_that_refused_it",
    },
    "acceptance/test_forwarding.py": {
        "tracker_untracked_messages": "test_a_message_that_names_no_task_is_forwarded_and_counted",
    },
    "acceptance/test_progress.py": {
        "tracker_contradictions": "test_contradictory_marks_make_the_number_of_children_the_highest_seen",
    },
    "acceptance/test_early_reports.py": {
        "tracker_held_messages_dropped": "test_what_is_held_for_a_job_that_ends_is_counted",
        "tracker_pending_tasks_dropped": "test_one_that_has_ended_is_not_released",
    },
    "acceptance/test_retention.py": {
        "tracker_jobs_removed": "test_jobs_are_removed_after_their_time_and_not_before",
    },
    "acceptance/test_outages.py": {
        "tracker_database_retries": "test_postgresql_may_be_away",
        "tracker_rebalances": "test_postgresql_may_be_away",
    },
    "kafka/test_retries.py": {
        "tracker_kafka_retries": "test_each_call_that_is_made_again_is_counted",
    },
    "acceptance/test_destinations.py": {
        "tracker_kafka_aborts": "test_a_topic_that_takes_no_large_batches_is_sent_small_ones",
    },
    "supervisor/test_http.py": {
        "tracker_workers": "test_metrics_are_those_of_the_catalogue",
        "tracker_last_progress_timestamp_seconds": "test_metrics_are_those_of_the_catalogue",
        "tracker_build_info": "test_metrics_are_those_of_the_catalogue",
    },
    "supervisor/test_health.py": {
        "tracker_workers_ready": "test_the_gauges_say_the_same",
        "tracker_ready": "test_the_gauges_say_the_same",
        "tracker_waiting": "test_the_gauges_say_the_same",
    },
    "supervisor/test_supervisor.py": {
        "tracker_worker_restarts": "test_a_killed_child_is_started_again",
    },
    "acceptance/test_readiness.py": {
        "tracker_no_progress_seconds": "test_what_postgresql_refuses_is_reported",
    },
    "acceptance/test_readiness_of_servers.py": {
        "tracker_stuck_destination_kafka_partitions": "test_a_destination_without_a_leader_is_named",
    },
}
"""By the file of the tests: the metric, and a test of its promise."""


@pytest.mark.parametrize(
    ("file", "function"), [(file, test) for file, tests in PROMISES.items() for test in tests.values()]
)
def test_the_test_of_a_promise_exists(file: str, function: str) -> None:
    text = (_TESTS / file).read_text(encoding="utf-8")
    assert re.search(rf"^def {function}\(", text, re.MULTILINE)


def test_each_metric_has_a_test_of_what_it_promises() -> None:
    promised = [name for tests in PROMISES.values() for name in tests]
    assert sorted(promised) == sorted(CATALOGUE), "a new metric comes with a test that its help is true"
