"""The statements of clients."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.store.cases import EDGE, KEY, OUTBOX, Case, N, keys, names, numbers
from tracker.identifiers import JobName
from tracker.job_filter import EVERY_JOB, DependsOn, HasName, JobFilter
from tracker.jobs import query as job_query
from tracker.jobs.filter import NEWEST_FIRST, WHOLE_LIST, Page, Sort, SortField
from tracker.jobs.filter_text import read_filter
from tracker.store import conditions
from tracker.store.queries import query
from tracker.store.steps import Prepared, Query


def tenant_names(digit: int, count: int = N) -> dict[str, list[Any]]:
    """Return the parameters that name jobs by their tenants' keys."""
    return {
        "tenant_keys": keys(digit, count)["tenant_keys"],
        "job_ids": names(digit, count)["job_ids"],
    }


NEW = [f"new-{number}" for number in range(N)]

SUBMIT = [
    Case("find_tenants", {"partition_ids": [*NEW, "tenant-1"]}, 41, 20),
    Case("add_tenants", {"partition_ids": NEW}, N, 10 * N),
    Case("find_submitted_jobs", tenant_names(5), N, 10 * N, "job_tenant_key_job_id_key"),
    Case("find_prerequisite_jobs", tenant_names(8), N, 10 * N, "job_tenant_key_job_id_key"),
    Case("find_broken_edges", tenant_names(9), 2 * N, 20 * N, "prerequisite_of_job"),
]
FEW = 20
MANY_HELD = {"most_held": 100_001}
WHY = [
    Case("describe_standing", keys(9, FEW) | MANY_HELD, 3 * FEW, 40 * FEW, "task_message_pkey"),
    # Each job with each of the 41 tenants, as long as their table is so small.
    Case("describe_standing", keys(9) | MANY_HELD, 41 * N, 40 * N, "task_message_pkey"),
    Case("describe_standing", keys(8, 2) | MANY_HELD, 10_000, 2 * 10_000, "held_message_pkey"),
    Case("describe_standing", keys(8, 2) | {"most_held": 100}, 200, 400, "held_message_pkey"),
    # Up a chain of 500.
    Case(
        "find_roots",
        {"tenant_key": 1, "job_key": 4999, "limit": FEW},
        3 * 1000,
        30 * 1000,
        "prerequisite_of_job",
    ),
    Case("list_unmet_prerequisites", keys(9) | {"limit": FEW}, 2 * N, 20 * N, "prerequisite_of_job"),
    Case("find_action", {"tenant_key": 1, "job_key": 5}, 1, 20, "job_pkey"),
    # Twenty jobs of that chain.
    Case(
        "list_edges_above",
        {"tenant_keys": [1] * 20, "job_keys": [*range(4809, 5000, 10)], "most_jobs": N, "most_edges": 2 * N},
        3 * N,
        40 * N,
        "prerequisite_of_job",
    ),
    # Only as much as is asked for.
    Case(
        "list_edges_above",
        {"tenant_keys": [1] * 20, "job_keys": [*range(4809, 5000, 10)], "most_jobs": 50, "most_edges": 30},
        100,
        1_000,
        "prerequisite_of_job",
    ),
    Case("sample_failures", keys(5) | {"limit": 101}, N, 10 * N, "task_failure_pkey"),
    Case("group_failures", {"tenant_key": 1, "job_key": 5, "limit": FEW}, 2, 20, "task_failure_pkey"),
]
NOTED: dict[str, Any] = {"action_key": 1}
CHANGE = [
    Case("lock_named_jobs", names(5, FEW), 41, 10 * FEW, "job_tenant_key_job_id_key", locks=(KEY,)),
    Case("lock_edges_of_jobs", keys(9, FEW), 2 * FEW, 10 * FEW, "prerequisite_of_job", locks=(EDGE,)),
    Case("lock_outbox_of_jobs", keys(6, FEW), FEW, 10 * FEW, "outbox_pkey", locks=(OUTBOX,)),
    Case("lock_task_messages", keys(8, FEW), FEW, 10 * FEW, "task_message_pkey", locks=(KEY,)),
    Case("lock_resumed_jobs", keys(8, FEW), FEW, 10 * FEW, locks=(KEY,)),
    Case("pause_jobs", keys(7, FEW) | NOTED, FEW, 30 * FEW, "task_message_pkey"),
    Case("resume_jobs", keys(8, FEW) | NOTED, FEW, 30 * FEW, "task_message_pkey"),
    Case(
        "find_jobs_to_retry",
        names(4, FEW) | {"cascade": True},
        41,
        30 * FEW,
        "job_tenant_key_job_id_key",
    ),
    # With the two jobs for which each waits.
    Case("lock_jobs_to_retry", keys(9, FEW), 3 * FEW, 60 * FEW, "prerequisite_of_job", locks=(KEY,)),
    Case("describe_jobs_to_retry", keys(9, FEW), 2 * FEW, 60 * FEW, "prerequisite_of_job"),
    Case("retry_jobs", keys(9, FEW) | NOTED, 2 * FEW, 150 * FEW, "prerequisite_of_job"),
    # Each begins a chain of 500.
    Case("find_jobs_to_cancel", names(9, FEW), 2_000 * FEW, 12_000 * FEW, "prerequisite_pkey"),
    Case("lock_jobs", keys(9, FEW), 41 + 3 * FEW, 20 * FEW, "job_pkey", locks=(KEY,)),
    Case("count_downstream", names(9, FEW) | {"limit": N}, 10 * N, 20 * N, "prerequisite_pkey"),
    Case(
        "change_prerequisites",
        {
            "tenant_key": 1,
            "job_key": 4999,
            "removed_job_ids": ["job-4998"],
            "added_job_ids": ["job-17", "job-18"],
        }
        | NOTED,
        10,
        100,
        "task_message_pkey",
    ),
    # 5,000 messages each.
    Case("cancel_jobs", keys(8, 2) | NOTED, 10_000, 2 * 10_000 + 1_000, "held_message_pkey"),
    Case("delete_jobs", keys(8, 2), 10_000, 2 * 10_000 + 1_000, "held_message_pkey"),
    Case(
        "suspend_partitions",
        {"partition_ids": ["tenant-1"], "suspended": True},
        41,  # all tenants, or one: that depends on the rows that tests before have left in this small table
        40,
        locks=(("tenant_key",),),
    ),
]
OF_REMOVED_JOB = {"tenant_key": 1, "job_key": 3_000_001}
QUERY = [
    Case("find_statuses", names(5, 100), 100, 1000, "job_tenant_key_job_id_key"),
    # Each has three rows of tasks.
    Case("find_watched_jobs", names(5, 100), 3 * 100, 2_000, "job_tenant_key_job_id_key"),
    # The end of a chain of 500, each of which also waits for another one.
    Case(
        "list_watched_prerequisites",
        {"partition_ids": ["tenant-1"], "job_ids": ["job-4999"]},
        1_100,
        12 * 1_000,
        "prerequisite_of_job",
    ),
    Case("list_drops", names(5, FEW), 41 + 2 * FEW, 15 * FEW, "job_note_pkey"),
    # It reads the notes as a whole, and of the jobs none that it need not.
    Case("list_drops_of_action", {"action_key": 1}, 61_000, 2_000, "job_pkey"),
    Case("find_job", {"partition_id": "tenant-1", "job_id": "job-5"}, 41, 10, "job_tenant_key_job_id_key"),
    Case("list_task_failures", {"tenant_key": 1, "job_key": 5}, 1, 20, "task_failure_pkey"),
    # Of 500 blocks.
    Case(
        "list_blocks",
        OF_REMOVED_JOB | {"path": "", "after": 100, "last": 400, "limit": 64},
        64,
        2 * 64,
        "task_block_pkey",
    ),
    # A row below each of 256 tasks.
    Case(
        "list_sibling_tasks",
        OF_REMOVED_JOB | {"paths": [str(path) for path in range(1, 257)], "numbers": [0] * 256},
        256,
        6 * 256,
        "sibling_tasks_pkey",
    ),
]
UNDER_LOCKS = [
    Case("share_prerequisite_jobs", tenant_names(8), N, 10 * N, "job_tenant_key_job_id_key", locks=(KEY,)),
    Case(
        "find_awaited_jobs",
        tenant_names(8) | {"first_keys": [1], "last_keys": [3]},
        3 * N,
        10 * N,
        "prerequisite_pkey",
    ),
    # Of the chains, only as much as is asked for.
    Case("reach_prerequisites", tenant_names(9, 40) | {"limit": N}, 3 * N, 12 * N, "prerequisite_of_job"),
    Case(
        "delete_new_edges",
        {
            "tenant_keys": keys(9)["tenant_keys"],
            "prerequisite_job_ids": names(8)["job_ids"],
            "job_keys": keys(9)["job_keys"],
        },
        2 * N,
        30 * N,
        "task_message_pkey",
    ),
    # Chains of up to 500.
    Case("list_prerequisites_above", tenant_names(9, 40), 40 * N, 12 * 40 * N, "prerequisite_of_job"),
]
"""Of a submit that has its locks: the planner reaches every row by index."""


def first_query(verb: Prepared[Any]) -> Query:
    """Return the first statement of a verb."""
    begun = verb.begin()
    assert next(begun) == Query(query("compile_nothing"), {})
    step = begun.send([])
    assert isinstance(step, Query)
    return step


def listing(
    wanted: JobFilter,
    rows: int,
    buffers: int,
    index: str,
    *parts: str,
    page: Page = WHOLE_LIST,
    sort: Sort = NEWEST_FIRST,
) -> Case:
    found = first_query(job_query.list_jobs(wanted, sort, page))
    return Case("list_jobs", {}, rows, buffers, index, query=found, parts=parts)


def looking(wanted: JobFilter, rows: int, buffers: int, *parts: str) -> Case:
    """Return the case of a look at the newest 100 jobs for ten that match."""
    found = conditions.list_first_jobs(wanted, 10, 100, None, descending=True)
    return Case(
        "list_jobs", {}, rows, buffers, "job_create_time", query=found, parts=("search_newest", *parts)
    )


def counting(wanted: JobFilter, rows: int, buffers: int, index: str, *parts: str) -> Case:
    found = first_query(job_query.count_jobs(wanted))
    return Case("count_jobs", {}, rows, buffers, index, query=found, parts=parts)


NAMED = HasName(tuple(JobName(f"tenant-{tenant}", f"job-{job}") for tenant, job in numbers(5, 100)))
OF_A_TENANT = partial(read_filter, "tenant-7")
FAILED = read_filter(statuses=["Failed"])
COMPLETED = read_filter(statuses=["Completed"])
NOT_ENDED = read_filter(statuses=["Waiting", "Active"])
FAILED_OF_A_TENANT = OF_A_TENANT(statuses=["Failed"])
FAILED_OF_TENANTS = read_filter(matching="status==Failed;partitionId==tenant-1*;id>job")
BY_ID, BY_ID_DESCENDING = Sort(SortField.ID), Sort(SortField.ID, descending=True)
LAST = datetime.max.replace(tzinfo=UTC), 7
LATE = Page(10, LAST)
MIDDLE = Page(10, ("tenant-20", "job-4900"))
OPEN = "matches_open_status"
WAITING, DOWNSTREAM = (DependsOn(JobName("tenant-7", "job-8"), transitive) for transitive in (False, True))
EACH_TENANT, EACH_STATUS = "search_each_tenant", "search_each_status"
JOBS, PAGES = 5_100, 60_000
TEN = Page(limit=10)
UPDATED_FIRST = Sort(SortField.LAST_UPDATE_TIME)
UPDATED_LAST = Sort(SortField.LAST_UPDATE_TIME, descending=True)
BY_END = "job_completed", EACH_TENANT, "completed_with_end", "completed_without_end"
ENDS = "search_updated", "search_open_updated", "search_completed", "first_tenants"
NEWEST = (4 * 41 + 3 * 100, 41 * 100, "job_create_time", EACH_TENANT, "first_tenants")
BY_NAME = (4 * 41 + 3 * 100, 41 * 100, "job_tenant_key_job_id_key", EACH_TENANT, "first_tenants")
LISTS = [
    # The newest jobs of all are among the newest of the ten tenants with the newest jobs.
    listing(EVERY_JOB, *NEWEST, page=TEN),
    listing(FAILED, 100, 1_000, "job_open", EACH_STATUS, page=TEN),
    listing(NOT_ENDED, 150, 1_000, "job_open", EACH_STATUS, page=TEN),
    listing(FAILED_OF_A_TENANT, 2_000, 4_000, "job_open", EACH_STATUS, "matches_tenant", page=TEN),
    listing(FAILED_OF_TENANTS, 20_100, 4_000, "job_open", EACH_STATUS, "matches_partition", page=TEN),
    listing(FAILED, 25_000, 12_000, "job_open", "search_open", page=TEN, sort=BY_ID),
    # Deep in the list: of each tenant, what comes after.
    listing(EVERY_JOB, *NEWEST, "follows_time", page=LATE),
    listing(FAILED, 100, 1_000, "job_open", EACH_STATUS, "follows_time", page=LATE),
    listing(FAILED, 25_000, 12_000, "job_open", "search_open", "follows_name", page=MIDDLE, sort=BY_ID),
    listing(EVERY_JOB, *BY_NAME, "follows_id", page=MIDDLE, sort=BY_ID),
    listing(EVERY_JOB, *BY_NAME, "follows_id_descending", page=MIDDLE, sort=BY_ID_DESCENDING),
    # By last update: of the completed jobs those that come first, of a tenant also all others.
    listing(COMPLETED, 500, 4_100, *BY_END, *ENDS, page=TEN, sort=UPDATED_LAST),
    listing(COMPLETED, 500, 4_100, *BY_END, *ENDS, "follows_time", page=LATE, sort=UPDATED_LAST),
    listing(OF_A_TENANT(), JOBS, 10_000, *BY_END, *ENDS, page=TEN, sort=UPDATED_LAST),
    listing(OF_A_TENANT(), JOBS, 10_000, *BY_END, *ENDS, "follows_time", page=LATE, sort=UPDATED_FIRST),
    listing(
        OF_A_TENANT(), JOBS, 60_000, *BY_END, "search_updated", "search_open_updated", sort=UPDATED_FIRST
    ),
    # Ten jobs of each tenant say where the edge is. Ten tenants have more before it: 101 of each are read.
    looking(read_filter(labels=["colour"]), 1_100, 3_000, "has_label"),
    looking(read_filter(labels=["nowhere"]), 1_100, 3_000, "has_label"),
    looking(read_filter(matching="labels.colour==red;partitionId==tenant-*"), 1_100, 3_000, "matches_label"),
    looking(OF_A_TENANT(prefix="job-49"), 1_100, 3_000, "text_begins"),
    listing(NAMED, 40 * 100, 2_000, "job_tenant_key_job_id_key", EACH_TENANT, "matches_name"),
    # The 500 of a chain, of which each waits for another one too.
    listing(WAITING, 41, 200, "prerequisite_pkey", "search_dependents", "find_dependents", page=TEN),
    listing(DOWNSTREAM, 1_500, 15_000, "", "search_dependents", "find_downstream", page=LATE),
    *(
        listing(OF_A_TENANT(matching=rsql), JOBS, PAGES, "", EACH_TENANT, *parts)
        for rsql, *parts in (
            ("id==*", "text_is_like"),
            ("status==Completed,status==Failed", "matches_status", OPEN),
            ("id==job-12*", "text_begins"),
            ("labels.colour==red", "matches_label", "text_equals"),
            ("labels.colour=in=(red,green);labels.colour=out=(red)", "text_is_one_of", "text_is_none_of"),
            ("name!=a*;name=isnull=true", "text_is_unlike", "text_is_null"),
            ("name=isnull=false;name>a", "text_is_not_null", "text_compares"),
            ("percentageComplete==0;percentageComplete<1", "percentage_is_one_of", "percentage_compares"),
            ("createTime==0,createTime>0", "time_is_one_of", "time_compares"),
            ("attempt==1,attempt>1", "attempt_is_one_of", "attempt_compares"),
            ("waitsFor==job-8", "matches_prerequisite"),
            ("waitsFor=isnull=false", "waits_for"),
        )
    ),
    listing(OF_A_TENANT(labels=["colour"]), JOBS, PAGES, "", EACH_TENANT, "has_label"),
    counting(OF_A_TENANT(), JOBS, PAGES, ""),
    counting(WAITING, JOBS, PAGES, "", "waits_for_job"),
    counting(DOWNSTREAM, JOBS, PAGES, "", "is_downstream", "find_downstream"),
    counting(FAILED, 20_100, 300, "job_open", OPEN),
    counting(FAILED_OF_A_TENANT, 20_100, 300, "job_open", OPEN),
]


def finding(step: Query | None, rows: int, buffers: int, index: str, *parts: str) -> Case:
    assert step is not None
    return Case("find_keys", {}, rows, buffers, index, query=step, parts=parts)


# Of the 5,000 jobs of tenant 7, which has the keys 30,001 to 35,000, those after 32,000.
OF_TENANT = partial(conditions.find_jobs_of_tenant, tenant_key=7, limit=10, after=32_000)
MATCHING = [
    finding(conditions.find_open_jobs(FAILED, 10, None), 100, 1_000, "job_open", EACH_STATUS),
    finding(conditions.find_open_jobs(NOT_ENDED, 10, LAST), 100, 1_000, "job_open", EACH_STATUS),
    finding(OF_TENANT(EVERY_JOB), 41 + 40, 100, "job_pkey", EACH_TENANT, "one_tenant", "follows_key"),
    # Of tenant 7, 3,000 jobs have not completed.
    finding(
        conditions.find_open_jobs(WAITING, 10, None), 10_000, 30_000, "job_open", EACH_STATUS, "waits_for_job"
    ),
    # Every job has the label.
    finding(OF_TENANT(read_filter(labels=["colour"])), 41 + 60, 200, "job_pkey", EACH_TENANT, "has_label"),
    finding(OF_TENANT(NAMED), 5_000, 10_000, "", EACH_TENANT, "matches_name"),
    Case(
        "find_some",
        {},
        JOBS,
        PAGES,
        query=conditions.find_some_jobs(COMPLETED & OF_A_TENANT(labels=["colour=red"]), 10_000),
    ),
    Case("find_matching_tenants", {}, 41, 20, query=conditions.find_matching_tenants(OF_A_TENANT())),
    Case(
        "lock_matching_jobs",
        {},
        (41 + 5) * FEW,  # the tenants are so few that they may be read as a whole
        20 * FEW,
        "job_pkey",
        locks=(KEY,),
        query=conditions.lock_matching_jobs(NOT_ENDED & read_filter(labels=["colour"]), keys(5, FEW)),
    ),
    # The rows come from a merge of both sides, which is in the order of the keys without a sort.
    Case(
        "lock_matching_jobs",
        {},
        1_500,
        15_000,
        "prerequisite_pkey",
        query=conditions.lock_matching_jobs(DOWNSTREAM, keys(9, FEW)),
        parts=("is_downstream", "find_downstream"),
    ),
]
"""What changes all jobs that match."""
