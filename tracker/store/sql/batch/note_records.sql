-- Add to what is noted of jobs: messages that a batch has dropped, and dead letters. A job that is not stored gets no note.
-- Neither does one that another transaction changes by a command at this moment: the batch has no lock on a job that only a
-- dead letter names, must not wait for one here, and would leave a note of a job that is being deleted.
WITH noted_job AS (
    SELECT job.tenant_key, job.job_key, note.*
    FROM unnest(
        %(partition_ids)b::text[], %(job_ids)b::text[], %(dropped)b::bigint[], %(drop_reasons)b::text[],
        %(drop_records)b::text[], %(dead_letters)b::bigint[], %(dead_letter_reasons)b::text[],
        %(dead_letter_records)b::text[]
    ) AS note (partition_id, job_id, dropped, drop_reason, drop_record,
               dead_letters, dead_letter_reason, dead_letter_record)
    JOIN tenant ON tenant.partition_id = note.partition_id
    JOIN job ON job.tenant_key = tenant.tenant_key AND job.job_id = note.job_id
    ORDER BY job.tenant_key, job.job_key
    FOR KEY SHARE OF job SKIP LOCKED
)
INSERT INTO job_note AS stored (tenant_key, job_key, dropped, drop_reason, drop_time, drop_record,
                                dead_letters, dead_letter_reason, dead_letter_time, dead_letter_record)
SELECT tenant_key, job_key, dropped, drop_reason, CASE WHEN dropped > 0 THEN now() END, drop_record,
       dead_letters, dead_letter_reason, CASE WHEN dead_letters > 0 THEN now() END, dead_letter_record
FROM noted_job
ORDER BY tenant_key, job_key
ON CONFLICT (tenant_key, job_key) DO UPDATE
SET dropped = stored.dropped + excluded.dropped,
    drop_reason = coalesce(excluded.drop_reason, stored.drop_reason),
    drop_time = coalesce(excluded.drop_time, stored.drop_time),
    drop_record = coalesce(excluded.drop_record, stored.drop_record),
    dead_letters = stored.dead_letters + excluded.dead_letters,
    dead_letter_reason = coalesce(excluded.dead_letter_reason, stored.dead_letter_reason),
    dead_letter_time = coalesce(excluded.dead_letter_time, stored.dead_letter_time),
    dead_letter_record = coalesce(excluded.dead_letter_record, stored.dead_letter_record)
