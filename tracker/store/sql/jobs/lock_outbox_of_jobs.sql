-- Lock the outbox rows of locked jobs, before the task messages and the held messages, as where the outbox is
-- cleared.
SELECT outbox.tenant_key, outbox.job_key
FROM unnest(%(tenant_keys)b::integer[], %(job_keys)b::bigint[]) AS locked_job (tenant_key, job_key)
JOIN outbox USING (tenant_key, job_key)
ORDER BY outbox.tenant_key, outbox.job_key, outbox.held_number
FOR UPDATE OF outbox
