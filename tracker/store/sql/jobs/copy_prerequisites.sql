-- Store unmet prerequisites of new jobs.
COPY prerequisite (tenant_key, prerequisite_job_id, job_key)
FROM STDIN (FORMAT BINARY)
