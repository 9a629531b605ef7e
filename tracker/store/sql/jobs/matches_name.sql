-- A condition of list_jobs and count_jobs.
AND (tenant.partition_id, job.job_id) IN (
    SELECT * FROM unnest(%(name_partition_ids)b::text[], %(name_job_ids)b::text[])
)
