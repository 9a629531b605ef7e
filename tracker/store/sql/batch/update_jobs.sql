-- Store the status and percentage of jobs that a batch has changed, and the record that completed each that it has
-- completed. A completed job has no failed tasks.
UPDATE job
SET status = new.status,
    percentage = new.percentage,
    last_update_time = now(),
    end_time = CASE WHEN new.status < 5 /* Completed */ THEN job.end_time ELSE now() END,
    end_record = new.end_record,
    failure_summary = CASE WHEN new.status < 5 /* Completed */ THEN job.failure_summary END
FROM unnest(
    %(tenant_keys)b::integer[], %(job_keys)b::bigint[], %(statuses)b::smallint[], %(percentages)b::integer[],
    %(end_records)b::text[]
) AS new (tenant_key, job_key, status, percentage, end_record)
WHERE job.tenant_key = new.tenant_key AND job.job_key = new.job_key
