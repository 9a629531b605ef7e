"""Every statement has a plan test, or a reason to have none."""

from pathlib import Path

from tests.store.batch_cases import BATCH
from tests.store.client_cases import CHANGE, LISTS, MATCHING, QUERY, SUBMIT, UNDER_LOCKS, WHY
from tests.store.scheduler_cases import RETENTION, SCHEDULE
from tracker.store.queries import statement_files

CASES = (*BATCH, *SCHEDULE, *RETENTION, *SUBMIT, *UNDER_LOCKS, *CHANGE, *MATCHING, *QUERY, *LISTS, *WHY)
NO_PLAN_TEST_IN_FOLDER = {
    "adoption": "an operator's command runs it once",
    "schema": "a migration or a check of the schema runs it once",
}
_NO_TABLE = "it reads no table"
_ADDS_ROWS = "it adds rows and reads none"
_DEPLOYMENT = "the table has one row"
_SKIPS = "the table has a row for each range that an operator has asked to skip"
_WORKERS = "the table has a row for each worker process"
NO_PLAN_TEST = {
    "add_action": _ADDS_ROWS,
    "begin_snapshot": _NO_TABLE,
    "claim_deployment": _DEPLOYMENT,
    "compile_nothing": _NO_TABLE,
    "copy_jobs": _ADDS_ROWS,
    "count_action": "it changes one row, by its primary key",
    "copy_labels": _ADDS_ROWS,
    "copy_task_messages": _ADDS_ROWS,
    "copy_prerequisites": _ADDS_ROWS,
    "estimate_jobs": "it reads the catalog",
    "has_leftovers": "it reads one row",
    "end_session": "it reads views of the server, at a process's start",
    "list_partitions": "its answer is the whole table",
    "is_scheduler_active": "it reads a view of the server",
    "lock_deployment": _DEPLOYMENT,
    "lock_tenants_for_submit": _NO_TABLE,
    "notify_scheduler": _NO_TABLE,
    "reach_rows_by_index": _NO_TABLE,
    "read_clock": _NO_TABLE,
    "read_database": "it reads views of the server",
    "read_deployment": _DEPLOYMENT,
    "read_progress": "the table has a row for each Kafka partition, and all are read",
    "read_send_numbers": _DEPLOYMENT,
    "read_session": _NO_TABLE,
    "read_skips": _SKIPS,
    "read_workers": _WORKERS,
    "release_savepoint": _NO_TABLE,
    "remove_done_skips": _SKIPS,
    "remove_workers": _WORKERS,
    "roll_back_to_savepoint": _NO_TABLE,
    "set_action": "it changes one row, by its primary key",
    "session_identity": "it reads a view of the server, at a process's start",
    "session_pid": _NO_TABLE,
    "set_savepoint": _NO_TABLE,
    "set_session": _NO_TABLE,
    "take_job_keys": "it reads a sequence",
    "try_retention_lock": _NO_TABLE,
    "try_scheduler_lock": _NO_TABLE,
    "try_slot_lock": _NO_TABLE,
    "try_to_write": _DEPLOYMENT,
    "write_workers": _WORKERS,
}


def test_every_statement_has_a_plan_test_or_a_reason() -> None:
    folders = {name: Path(str(file)).parent.name for name, file in statement_files().items()}
    tested = {name for case in CASES for name in (case.name, *case.parts)}
    needed = {name for name, folder in folders.items() if folder not in NO_PLAN_TEST_IN_FOLDER}

    assert (tested | NO_PLAN_TEST.keys()) - folders.keys() == set()
    assert tested & NO_PLAN_TEST.keys() == set()
    assert needed - tested - NO_PLAN_TEST.keys() == set()
