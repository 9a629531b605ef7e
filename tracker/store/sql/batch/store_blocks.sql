-- Store blocks of children that a batch has changed. The job's row is locked, so no other bit is lost.
INSERT INTO task_block (tenant_key, job_key, path, block, completed, tracked)
SELECT *
FROM unnest(
    %(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[], %(blocks)b::integer[],
    %(completed)b::bytea[], %(tracked)b::bytea[]
)
ON CONFLICT (tenant_key, job_key, path, block) DO UPDATE
SET completed = excluded.completed, tracked = excluded.tracked
