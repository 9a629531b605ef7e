-- Store labels of new jobs.
COPY label (tenant_key, job_key, label_key, label_value)
FROM STDIN (FORMAT BINARY)
