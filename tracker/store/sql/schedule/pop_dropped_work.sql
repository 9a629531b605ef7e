-- Delete some rows of dropped_work, and return each with its partition ID and a job.
WITH popped_work AS (
    SELECT tenant_key, drop_id
    FROM dropped_work
    ORDER BY tenant_key, drop_id
    LIMIT %(limit)b
    FOR UPDATE SKIP LOCKED
)
DELETE FROM dropped_work
USING popped_work
JOIN tenant ON tenant.tenant_key = popped_work.tenant_key
WHERE dropped_work.tenant_key = popped_work.tenant_key AND dropped_work.drop_id = popped_work.drop_id
RETURNING dropped_work.kind, dropped_work.reason, dropped_work.amount, tenant.partition_id, dropped_work.job_id
