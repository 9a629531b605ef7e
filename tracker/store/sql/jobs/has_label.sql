-- A condition of list_jobs and count_jobs, once for each label without a value: any value matches, also null.
AND EXISTS (
    SELECT
    FROM label
    WHERE label.tenant_key = job.tenant_key
        AND label.job_key = job.job_key
        AND label.label_key = {label_key}
)
