"""The statements of a worker's batch."""

from typing import Any

from tests.store.cases import EDGE, KEY, OUTBOX, PROGRESS, Case, N, keys, names


def completed(digit: int) -> dict[str, list[Any]]:
    """Return the parameters for jobs that a batch has completed."""
    return {
        "tenant_keys": keys(digit)["tenant_keys"],
        "job_ids": names(digit)["job_ids"],
        "topics": ["tracking"] * N,
        "kafka_partitions": [63] * N,
        "offsets": list(range(N)),
        "correlation_ids": [None] * N,
    }


PLACE: dict[str, Any] = {"topics": ["tracking"], "kafka_partitions": [1]}
TASK = {"paths": ["1"] * N}
SIBLINGS = TASK | {"numbers": [0] * N}
BLOCK = TASK | {"blocks": [1] * N}

BATCH = [
    Case("lock_progress", PLACE, 1, 20, "kafka_progress_pkey", locks=(PROGRESS,)),
    Case("start_progress", PLACE | {"first_offsets": [0], "topic_ids": [""]}, 1, 20),
    Case(
        "advance_progress",
        PLACE
        | {"next_offsets": [5002], "published_offsets": [1], "withheld": [b""], "refused": ["{}"]}
        | {"record_times_ms": [1_700_000_000_000]},
        1,
        20,
        "kafka_progress_pkey",
    ),
    Case(
        "record_published",
        PLACE | {"published_offsets": [5001]},
        1,
        20,
        "kafka_progress_pkey",
        locks=(PROGRESS,),
    ),
    Case("lock_batch_jobs", names(5), N, 10 * N, "job_tenant_key_job_id_key", locks=(KEY,)),
    # 100 jobs, and 5,000 downstream of them in chains of up to 500.
    Case(
        "lock_batch_jobs_and_downstream",
        names(8, 100) | {"may_fail": [True] * 100},
        25_000,
        20 * 25_000,
        "prerequisite_pkey",
        locks=(KEY,),
    ),
    Case("list_downstream", keys(8, 100), 25_000, 12 * 25_000, "prerequisite_pkey"),
    Case("load_sibling_tasks", keys(5) | SIBLINGS, N, 6 * N, "sibling_tasks_pkey"),
    Case("load_blocks", keys(5) | BLOCK, N, 6 * N, "task_block_pkey"),
    Case("store_blocks", keys(5) | BLOCK | {"completed": [b"\3"] * N, "tracked": [b""] * N}, N, 12 * N),
    Case(
        "store_sibling_tasks",
        keys(5) | SIBLINGS | {"tasks": [b"\x80"] * N, "unknown": [0] * N},
        N,
        12 * N,
    ),
    Case(
        "store_failures",
        keys(5)
        | TASK
        | {"failure_ids": ["broken"] * N, "failure_times_ms": [1] * N}
        | {"failure_sources": ["sorter"] * N, "failure_messages": ["out of order"] * N},
        N,
        12 * N,
    ),
    Case("remove_sibling_tasks", keys(5) | SIBLINGS, N, 8 * N, "sibling_tasks_pkey"),
    # Two blocks each.
    Case("remove_subtrees", keys(5) | TASK, 2 * N, 8 * N, "task_block_pkey"),
    Case("remove_failures", keys(5) | TASK, N, 8 * N, "task_failure_pkey"),
    # Six blocks each.
    Case("remove_task_state", keys(5), 6 * N, 8 * 6 * N, "task_block_pkey"),
    Case("summarize_failures", keys(5), N, 30 * N, "task_failure_pkey"),
    Case(
        "update_jobs",
        keys(6) | {"statuses": [1] * N, "percentages": [5] * N, "end_records": [None] * N},
        N,
        10 * N,
        "job_pkey",
    ),
    Case("mark_contradictions", keys(6), N, 10 * N, "job_pkey"),
    # 5,000 messages each.
    Case("drop_held_messages", keys(8, 2), 10_000, 2 * 10_000 + 1_000, "held_message_pkey"),
    Case(
        "hold_messages",
        keys(8)
        | {"destinations": ["sort-in"] * N, "message_keys": [None] * N}
        | {"message_values": [b"{}"] * N, "headers": [None] * N}
        | {"source_topics": ["tracking"] * N, "source_partitions": [0] * N}
        | {"source_offsets": list(range(N)), "source_times_ms": [0] * N},
        N,
        10 * N,
    ),
    Case(
        "lock_edges",
        {"tenant_keys": keys(8)["tenant_keys"], "job_ids": names(8)["job_ids"]},
        N,
        10 * N,
        "prerequisite_pkey",
        locks=(EDGE,),
    ),
    Case("meet_prerequisites", completed(8), N, 50 * N, "prerequisite_pkey", locks=(EDGE, KEY)),
    Case("remove_task_messages", keys(5), N, 10 * N, "task_message_pkey"),
    Case(
        "note_records",
        names(6)
        | {"dropped": [1] * N, "drop_reasons": ["failed"] * N, "drop_records": ["tracking:0:1"] * N}
        | {"dead_letters": [1] * N, "dead_letter_reasons": ["not-json"] * N}
        | {"dead_letter_records": ["tracking:0:1"] * N},
        N + 41,
        30 * N,
        "job_tenant_key_job_id_key",
        locks=(KEY,),
    ),
    # 50 jobs, and 20,000 downstream; those of ten tenants are found from two of them. Two edges each.
    Case("fail_dependents", keys(8, 50), 41_000, 50 * 41_000, "prerequisite_pkey"),
    Case(
        "read_outbox",
        PLACE | {"first_offsets": [3000], "next_offsets": [3200]},
        200,
        16 * 200,
        "outbox_source",
    ),
    Case(
        "postpone_tasks",
        keys(5) | {"reasons": ["no topic"] * N, "delay_s": 10},
        N,
        16 * N,
        "outbox_pkey",
        locks=(KEY, KEY),
    ),
    Case(
        "clear_outbox",
        PLACE | {"committed_offsets": [100]},
        100,
        10 * 100,
        "outbox_source",
        locks=(OUTBOX,),
    ),
]
