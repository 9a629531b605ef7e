-- Store new jobs.
COPY job (tenant_key, job_key, job_id, content_hash, name, description, external_data,
    prerequisite_job_ids)
FROM STDIN (FORMAT BINARY)
