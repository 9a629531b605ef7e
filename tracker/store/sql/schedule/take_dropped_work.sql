-- Take what is noted of dropped work, some of it, with the partition ID and a job of each note.
WITH taken AS (
    SELECT tenant_key, drop_id
    FROM dropped_work
    ORDER BY tenant_key, drop_id
    LIMIT %(limit)b
    FOR UPDATE SKIP LOCKED
)
DELETE FROM dropped_work
USING taken
JOIN tenant ON tenant.tenant_key = taken.tenant_key
WHERE dropped_work.tenant_key = taken.tenant_key AND dropped_work.drop_id = taken.drop_id
RETURNING dropped_work.kind, dropped_work.reason, dropped_work.amount, tenant.partition_id, dropped_work.job_id
