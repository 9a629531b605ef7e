"""The statements of the scheduler and of retention."""

from typing import Any

from tests.store.cases import EDGE, KEY, OUTBOX, Case, N, keys

SCHEDULE = [
    # Nobody's but those of the suspended tenant are due: 100,000, which are passed over whole.
    Case("enqueue_eligible_tasks", {"limit": N}, 200, 1000, "task_message_eligible"),
    # The same, which `tracker status` looks at.
    Case("read_oldest_due", {}, 200, 1000, "task_message_eligible"),
    Case("enqueue_held_messages", {"limit": N}, 1, 20, "resumed_job_pkey"),
    Case("delete_resumed_jobs", {}, 1, 20, "resumed_job_pkey"),
    # 2,000 rows of 40 tenants.
    Case("pop_dropped_work", {"limit": N}, N, 12 * N, "dropped_work_pkey"),
    Case(
        "read_unsent",
        {"sent_number": 10_000, "limit": N, "limit_bytes": 1 << 25},
        N,
        20 * N,
        "outbox_send_number",
    ),
    Case("delete_published", {"sent_number": N}, N, 12 * N, "outbox_send_number", locks=(OUTBOX,)),
]
# From a place in the middle of a tenant on, and of jobs that are all too young.
WALK: dict[str, Any] = {"tenant_key": 7, "create_time": None, "job_key": 0, "limit": N}
NO_TIME, HOUR = {"ended_s": 0, "failed_s": 0}, {"ended_s": 3600, "failed_s": None}
RETENTION = [
    Case("find_expired_jobs", WALK | NO_TIME, N + 1, 6 * N, "job_create_time"),
    Case("find_expired_jobs", WALK | HOUR, 41, 6 * 41, "job_create_time"),
    Case("lock_expired_jobs", keys(4) | NO_TIME, N, 10 * N, "job_pkey", locks=(KEY,)),
    Case("lock_edges_of_jobs", keys(9), 2 * N, 10 * N, "prerequisite_of_job", locks=(EDGE,)),
    Case("lock_task_messages", keys(8), N, 10 * N, "task_message_pkey", locks=(KEY,)),
    # A label each.
    Case("remove_expired_jobs", keys(4, N // 2), N, 60 * N, "prerequisite_pkey"),
    # 40 jobs with 500 rows in each of three tables.
    Case("remove_leftovers", {"limit": N}, N, 30 * N, "removed_job_pkey"),
]
