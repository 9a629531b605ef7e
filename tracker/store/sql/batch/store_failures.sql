-- Store the details of failed tasks. If a task fails again, they replace the earlier ones.
INSERT INTO task_failure (tenant_key, job_key, path, failure_id, failure_time_ms, failure_source, failure_message)
SELECT *
FROM unnest(
    %(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[], %(failure_ids)b::text[],
    %(failure_times_ms)b::bigint[], %(failure_sources)b::text[], %(failure_messages)b::text[]
)
ON CONFLICT (tenant_key, job_key, path) DO UPDATE
SET failure_id = excluded.failure_id,
    failure_time_ms = excluded.failure_time_ms,
    failure_source = excluded.failure_source,
    failure_message = excluded.failure_message
