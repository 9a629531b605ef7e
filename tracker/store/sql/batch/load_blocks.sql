-- Return the blocks of children that a batch needs.
SELECT task_block.tenant_key, task_block.job_key, task_block.path, task_block.block,
       task_block.completed, task_block.tracked
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(paths)b::text[], %(blocks)b::integer[])
    AS wanted (tenant_key, job_key, path, block)
JOIN task_block
    ON task_block.tenant_key = wanted.tenant_key AND task_block.job_key = wanted.job_key
    AND task_block.path = wanted.path AND task_block.block = wanted.block
