-- Store new jobs.
COPY job (tenant_key, job_key, job_id, content_hash, name, description, external_data)
FROM STDIN (FORMAT BINARY)
