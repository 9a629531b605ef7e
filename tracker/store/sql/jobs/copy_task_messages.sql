-- Store task messages of new jobs.
COPY task_message (tenant_key, job_key, unmet, eligible_time, delay_s, task_classifier, task_api_version,
    task_data, task_pipe, target_pipe)
FROM STDIN (FORMAT BINARY)
