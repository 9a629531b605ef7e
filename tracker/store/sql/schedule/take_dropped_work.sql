-- Return some of the notes on dropped work, with the partition ID and a job of each, and delete them.
WITH taken_note AS (
    SELECT tenant_key, drop_id
    FROM dropped_work
    ORDER BY tenant_key, drop_id
    LIMIT %(limit)b
    FOR UPDATE SKIP LOCKED
)
DELETE FROM dropped_work
USING taken_note
JOIN tenant ON tenant.tenant_key = taken_note.tenant_key
WHERE dropped_work.tenant_key = taken_note.tenant_key AND dropped_work.drop_id = taken_note.drop_id
RETURNING dropped_work.kind, dropped_work.reason, dropped_work.amount, tenant.partition_id, dropped_work.job_id
