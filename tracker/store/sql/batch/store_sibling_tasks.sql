-- Store tasks that a batch has changed, with their siblings. The job's row is locked, so nothing else is lost.
INSERT INTO sibling_tasks (tenant_key, job_key, path, number, tasks, unknown)
SELECT *
FROM unnest(
    %(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[], %(numbers)b::integer[],
    %(tasks)b::bytea[], %(unknown)b::bigint[]
)
ON CONFLICT (tenant_key, job_key, path, number) DO UPDATE
SET tasks = excluded.tasks, unknown = excluded.unknown
